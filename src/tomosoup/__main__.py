"""`python -m tomosoup` is the `tomosoup` command."""

from tomosoup.cli.main import main

if __name__ == "__main__":
    main()
