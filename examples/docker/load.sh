#!/bin/bash
# Sends requests for SECONDS (60) from so many callers at once (20) to a PORT (8080) of this
# machine, and says how many failed.
set -u
end=$((SECONDS + ${1:-60}))
callers=${2:-20}
port=${3:-8080}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
call() {
    served=0 failed=0
    while [ $SECONDS -lt "$end" ]; do
        exec 3<> "/dev/tcp/127.0.0.1/$port" && printf 'GET / HTTP/1.0\r\n\r\n' >&3
        case $(head -n 1 <&3) in
            *" 200 "*) served=$((served + 1)) ;;
            *) failed=$((failed + 1)) ;;
        esac
        exec 3>&-
        sleep 0.1
    done
    echo "$served $failed" > "$folder/$1"
}
for caller in $(seq "$callers"); do call "$caller" & done
wait
cat "$folder"/* | awk '{ served += $1; failed += $2 } END { print served " served, " failed " failed" }'
