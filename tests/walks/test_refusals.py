"""Every class of refusal has its status on the web and its exit status at the console."""

import pkgutil
from importlib import import_module

import mailprefs
from mailprefs.errors import MailprefsError
from mailprefs.web.errors import STATUS


def every() -> list[type[MailprefsError]]:
    """List every class of refusal in the package, wherever it is defined."""
    for module in pkgutil.walk_packages(mailprefs.__path__, "mailprefs."):
        if "._" not in module.name:
            import_module(module.name)
    found: list[type[MailprefsError]] = [MailprefsError]
    for kind in found:
        found += [one for one in kind.__subclasses__() if one not in found]
    return [one for one in found if one.__module__.startswith("mailprefs.")]


def test_every_class_of_refusal_has_a_status() -> None:
    assert [one.__name__ for one in every() if one not in STATUS] == []
    assert all(400 <= STATUS[one] < 600 for one in every())


def test_no_refusal_exits_as_if_all_were_well() -> None:
    assert [one.__name__ for one in every() if not 1 <= one.exit_status <= 2] == []


def test_every_refusal_says_what_it_means() -> None:
    assert [one.__name__ for one in every() if not (one.__doc__ or "").strip()] == []


def test_a_new_class_without_a_status_is_found() -> None:
    class Odd(MailprefsError):
        """Something new."""

    Odd.__module__ = "mailprefs.errors"
    try:
        assert Odd in every() and Odd not in STATUS
    finally:
        Odd.__module__ = __name__
