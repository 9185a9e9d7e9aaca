#!/bin/sh
# Makes the example's two images without a registry: each holds one program of this machine and the
# libraries that it is linked to, and nothing else.
# FLYBALL and HAPROXY name other programs than those on the PATH.
set -eu

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# image NAME PROGRAM
image() {
    root=$folder/$1
    mkdir -p "$root/tmp"
    cp "$2" "$root/$1"
    # The loader is named by its path, libraries are found in the folders they had.
    for library in $(ldd "$2" | grep -o '/[^ ]*'); do
        mkdir -p "$root$(dirname "$library")"
        cp -L "$library" "$root$library"
    done
    tar -C "$root" -c . | docker import --change "ENTRYPOINT [\"/$1\"]" - "example-$1:1" > /dev/null
    echo "image example-$1:1"
}

path_of() {
    PATH=$PATH:/usr/local/sbin:/usr/sbin command -v "$1" ||
        { echo "error: $1 is not installed" >&2; exit 2; }
}

image flyball "${FLYBALL:-$(path_of flyball)}"
image haproxy "${HAPROXY:-$(path_of haproxy)}"
