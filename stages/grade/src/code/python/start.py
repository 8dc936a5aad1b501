"""Runs a whole program as the main module. `site` is not loaded, so `exit` and `quit` are given here."""
import sys, builtins
builtins.exit = builtins.quit = sys.exit
# The program's folder is no place to import from.
sys.path[:] = [place for place in sys.path if place]
path = int(sys.argv[1])
sys.argv = ["program.py"]
with open(path, encoding="utf-8") as file:
    text = file.read()
scope = {"__name__": "__main__", "__builtins__": builtins, "__doc__": None}
module = type(sys)("__main__")
module.__dict__.update(scope)
sys.modules["__main__"] = module
del path, file, scope
exec(compile(text, "program.py", "exec"), module.__dict__)
