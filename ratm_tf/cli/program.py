"""Runs a program so that what goes wrong is one sentence, and an exit code."""

import contextlib
import signal
import sys

from absl import app, flags, logging

from ratm_tf.cli.quiet import keep_tensorflow_quiet

_TRACEBACK = flags.DEFINE_bool("traceback", False, "Show where an error came from.")


def run(main):
    """Runs a program's `main` with its flags.

    What a user can cause (a wrong argument, a file that is not there or cannot be
    written, a full disk, a loss that is not finite, a server that does not answer)
    ends it with one sentence on standard error and exit code 1; an interruption with
    130, SIGTERM with 143.

    TensorFlow logs nothing unless `TF_CPP_MIN_LOG_LEVEL` says what is wanted.

    Args:
        main: function of the arguments that are no flags.
    """
    keep_tensorflow_quiet()
    app.run(lambda arguments: _guarded(main, arguments))


def run_module(module):
    """Runs a module of `ratm_tf.cli.programs` as the program that was started.

    Args:
        module: has `main` as `run` takes it; `--help` shows its docstring and flags.
    """
    sys.modules["__main__"].__doc__ = module.__doc__
    for flag in flags.FLAGS.get_key_flags_for_module(module):
        flags.FLAGS.register_key_flag_for_module(sys.argv[0], flag)
    run(module.main)


def _guarded(main, arguments):
    previous = signal.signal(signal.SIGTERM, _terminate)
    try:
        return main(arguments)
    except KeyboardInterrupt:
        _leave("Interrupted.", 130)
    except BrokenPipeError:  # as `| head` does
        # Nothing is left to write to; Python would try to once more.
        with contextlib.suppress(OSError):
            sys.stdout.close()
        sys.exit(141)
    except (ArithmeticError, ImportError, OSError, RuntimeError, ValueError) as error:
        if _TRACEBACK.value:
            raise
        logging.debug("The error", exc_info=True)
        _leave(f"Error: {' '.join(str(error).split()) or type(error).__name__}", 1)
    finally:
        signal.signal(signal.SIGTERM, previous)


def _terminate(number, frame):
    del frame
    _leave("Terminated.", 128 + number)


def _leave(sentence, code):
    print(sentence, file=sys.stderr, flush=True)
    sys.exit(code)
