#!/bin/sh
# Runs a program of the Debian in this folder: `enter PROGRAM ARGUMENT...`.
#
# /dev, /proc, /sys and /tmp are this machine's, so that files in /tmp, sockets and processes are the
# same in there and out here. The mounts belong to the program alone and go with it, and it keeps
# this process's id: a signal to it, or to its process group, arrives.
root=$(cd "$(dirname "$0")" && pwd) || exit 125
exec unshare --mount -- sh -c '
    root=$1
    shift
    for folder in dev proc sys tmp; do
        mount --rbind "/$folder" "$root/$folder" || exit 125
    done
    exec chroot "$root" "$@"
' enter "$root" "$@"
