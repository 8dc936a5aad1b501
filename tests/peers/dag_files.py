"""Where a pipeline's results lie, asked of `dag show` as a user would, and what the pipeline file says."""

import json
import subprocess
import tomllib
from pathlib import Path


class Results:
    """The results of one pipeline file. Every question goes to the program, none to the cache's layout."""

    def __init__(self, dag, pipeline, settings=()):
        self.dag = dag
        self.file = Path(pipeline)
        self.settings = [word for setting in settings for word in ("--set", setting)]
        with open(self.file, "rb") as text:
            self.text = tomllib.load(text)

    def show(self, stage, *words):
        command = [self.dag, "show", *words, *self.settings, stage, str(self.file)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(command)}:\n{done.stderr.strip()}")
        return done.stdout

    def place(self, output):
        """The file or folder of `stage` or `stage.output`."""
        return Path(self.show(output, "--path").strip())

    def outputs(self, stage):
        """The outputs of a stage: name -> description, as its record has them."""
        return json.loads(self.show(stage, "--json", "--rows", "0"))["record"]["outputs"]

    def setting(self, stage, name, default=None):
        """A setting of a stage: its own, or that of its kind's defaults."""
        own = self.text["stage"][stage]
        return own.get(name, self.text.get("defaults", {}).get(own["kind"], {}).get(name, default))

    def model_folder(self, name):
        """The folder of a model: a stage that trains one, or an entry of `[models]` with a path."""
        if name in self.text["stage"]:
            return self.place(name)
        return (self.file.parent / self.text["models"][name]["path"]).resolve()
