"""All commands' options."""

from tomosoup.cli.options.check import CheckCommand as CheckCommand
from tomosoup.cli.options.convert import ConvertCommand as ConvertCommand
from tomosoup.cli.options.demo import DemoCommand as DemoCommand
from tomosoup.cli.options.onnx import ExportOnnxCommand as ExportOnnxCommand
from tomosoup.cli.options.pick import PickCommand as PickCommand
from tomosoup.cli.options.score import ScoreCommand as ScoreCommand
from tomosoup.cli.options.simulate import SimulateCommand as SimulateCommand
from tomosoup.cli.options.soup import SoupCommand as SoupCommand
from tomosoup.cli.options.threshold import ThresholdCommand as ThresholdCommand
from tomosoup.cli.options.train import TrainCommand as TrainCommand
from tomosoup.cli.options.tune import TuneCommand as TuneCommand
