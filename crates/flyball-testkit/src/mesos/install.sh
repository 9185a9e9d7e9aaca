#!/bin/sh
# Puts a real Mesos 1.11 into the folder $1 (about 250 MB), from Python packages alone.
#
# The egg mesos.scheduler carries all of libmesos: a driver with the master 'local' runs a master and
# agents in its own process. It was linked against an OpenSSL 1.0, which a wheel brings, and a
# libcurl whose symbols carry an old version: fetching over HTTP is not used, so stand-ins do.
set -eu
to=$1
if ! ldconfig -p | grep -q libsvn_delta-1; then
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq -o DPkg::Lock::Timeout=120 update
  apt-get -qq -y -o DPkg::Lock::Timeout=120 install --no-install-recommends libsvn1
fi
python=$(PYENV_VERSION=2.7.18 pyenv which python2.7)
tools=$(dirname "$python")
rm -rf "$to.new" && mkdir -p "$to.new/egg" "$to.new/py" "$to.new/lib" && cd "$to.new"

"$tools/easy_install" -q --no-deps -Zmxd egg mesos.scheduler==1.11.0
"$tools/pip" -q download --no-deps --only-binary :all: -d wheels \
  mesos.interface==1.11.0 protobuf==3.17.3 six==1.16.0 psycopg2-binary==2.7.7
"$tools/pip" -q install --no-deps --no-index --target py \
  wheels/mesos.interface*.whl wheels/protobuf*.whl wheels/six*.whl
"$python" -m zipfile -e wheels/psycopg2_binary*.whl openssl

egg=$(echo egg/mesos.scheduler-*.egg)
if [ -f "$egg" ]; then "$python" -m zipfile -e "$egg" unpacked && egg=unpacked; fi
mkdir -p py/mesos
cp -r "$egg/mesos/scheduler" "$egg/mesos/__init__.py" py/mesos/
touch py/google/__init__.py

cp openssl/psycopg2/.libs/* lib/
(cd lib && ln -s libssl-*.so* libssl.so.1.0.0 && ln -s libcrypto-*.so* libcrypto.so.1.0.0)
cat >curl.c <<'C'
void *curl_easy_init(void) { return 0; }
void curl_easy_cleanup(void *c) {}
int curl_easy_perform(void *c) { return 2; }
int curl_easy_setopt(void *c, int o, ...) { return 2; }
int curl_easy_getinfo(void *c, int o, ...) { return 2; }
const char *curl_easy_strerror(int e) { return "no libcurl here"; }
int curl_global_init(long f) { return 0; }
C
echo 'CURL_OPENSSL_3 { global: curl_*; };' >curl.map
gcc -shared -fPIC -w -o lib/libcurl.so.4 -Wl,-soname,libcurl.so.4 -Wl,--version-script=curl.map curl.c
echo "$python" >python
rm -rf egg wheels openssl unpacked curl.c curl.map
rm -rf "$to" && mv "$to.new" "$to"
