"""
Becomes a command that finds one file in the place of another; started by path: `python bound.py COPY FILE COMMAND ...`.

On Linux, where a process may have mounts of its own: nobody but the command, and what it starts, sees them, and they
are gone with it. Ends with 125 where that is not to be had, before anything of the command ran.
"""

import os
import sys

CANNOT = 125
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18


def become(copy: str, file: str, words: list[str]) -> None:
    """Become the command. Raises OSError."""
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)

    def called(result: int) -> None:
        if result:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    user, group = os.getuid(), os.getgid()
    if libc.unshare(_CLONE_NEWNS):
        # whoever is nobody in particular may be so in a namespace of their own, as the same user
        called(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS))
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as opened:
                opened.write(text)
    called(libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None))
    called(libc.mount(os.fsencode(copy), os.fsencode(file), None, _MS_BIND, None))
    if words:
        os.execvp(words[0], words)


if __name__ == "__main__":
    _copy, _file, *_words = sys.argv[1:]
    try:
        become(_copy, _file, [])
    except (OSError, AttributeError) as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(CANNOT)
    if _words:
        os.execvp(_words[0], _words)
