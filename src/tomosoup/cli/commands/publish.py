"""`tomosoup publish`."""

from __future__ import annotations

from tomosoup.cli.commands.model_card import model_card
from tomosoup.cli.options.publish import PublishCommand
from tomosoup.cli.terminal import Outcome
from tomosoup.core.errors import InputError, first_line
from tomosoup.core.files import written_aside
from tomosoup.models.checkpoint import load
from tomosoup.models.named import checkpoint_file
from tomosoup.models.named.hub import CARD, FILE, PREFIX, HubModel


def publish_command(options: PublishCommand) -> Outcome:
    """Upload a model and its card, or write the card alone."""
    model = HubModel.of(options.name)
    if model.revision:
        raise InputError(f"{options.name}: expected OWNER/NAME without a revision, as the Hub names versions itself.")
    card = model_card(
        load(options.model),
        name=model.repository,
        licence=options.licence,
        description=options.description,
        citation=options.citation,
    )
    if options.card:
        with written_aside(options.card) as aside:
            aside.write_text(card)
        return Outcome(f"{options.card}: the model card; nothing was uploaded", files=[options.card])
    address = upload(options, model.repository, card)
    return Outcome(
        f"{address}: use it as --model {PREFIX}{model.repository}",
        facts={"model": f"{PREFIX}{model.repository}", "address": address},
    )


def upload(options: PublishCommand, repository: str, card: str) -> str:
    """Upload the checkpoint and its card in one commit; returns the address of the model.

    Raises `InputError` where nobody is logged in, where the name may not be written, and where the upload fails.
    """
    from huggingface_hub import CommitOperationAdd, HfApi  # here, as no other command needs it
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, LocalTokenNotFoundError  # type: ignore[attr-defined]

    api, file = HfApi(library_name="tomosoup"), checkpoint_file(options.model)
    operations = [CommitOperationAdd(FILE, str(file)), CommitOperationAdd(CARD, card.encode())]
    try:
        address = api.create_repo(repository, private=options.private, exist_ok=True)
        if options.private and not api.repo_info(repository).private:
            raise InputError(
                f"{repository} is on the Hub already and everybody can see it: nothing was uploaded. Choose another "
                "name, or make it private on its page."
            )
        api.create_commit(repository, operations, commit_message=f"tomosoup publish {options.model.name}")
    except LocalTokenNotFoundError as error:
        raise InputError("You are not logged in to the Hugging Face Hub: run `hf auth login`.") from error
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        advice = "log in with `hf auth login` as a user who may write there" if status in (401, 403) else "try again"
        raise InputError(f"{repository} was not uploaded ({first_line(error)}): {advice}.") from error
    except (HTTPError, OSError) as error:
        raise InputError(
            f"{repository} was not uploaded ({first_line(error)}): check the network, then try again."
        ) from error
    return str(address)
