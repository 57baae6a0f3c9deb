#!/bin/sh
# SPDX-License-Identifier: MIT
# deb.sh ROOT VERSION OUT: makes a Debian package of what `make install` put below ROOT (PREFIX=/usr). Depends
# on the packages that the program's and the library's own libraries are from, as they are on this machine.
set -eu
root=$1 version=$2 out=$3

# "libcurl4, libsqlite3-0, …": of each library that is loaded, the package whose file it is.
depends() {
    ldd "$root/usr/bin/parley" "$root/usr/lib/libparley.so.0" | sed -n 's/.*=> \(\/[^ ]*\) (.*/\1/p' |
        sort -u | while read -r library; do
        case $(objdump -p "$root/usr/bin/parley" "$root/usr/lib/libparley.so.0") in
        *"NEEDED"*" ${library##*/}"*) realpath "$library" ;;
        esac
    done | while read -r file; do
        # Where /lib is /usr/lib, a package may know its file by either name.
        dpkg-query -S "$file" 2>/dev/null || dpkg-query -S "${file#/usr}"
    done | sed 's/:.*//' | sort -u | paste -sd, | sed 's/,/, /g'
}

strip --strip-unneeded "$root/usr/bin/parley" "$root/usr/lib/libparley.so.0"
strip --strip-debug "$root/usr/lib/libparley.a"
mkdir -p "$root/DEBIAN" "$root/usr/share/doc/parley"
cp LICENSE "$root/usr/share/doc/parley/copyright"
gzip -9n <CHANGELOG.md >"$root/usr/share/doc/parley/changelog.gz"
gzip -9nf "$root/usr/share/man/man1/parley.1"
cat >"$root/DEBIAN/control" <<END
Package: parley
Version: $version
Architecture: $(dpkg --print-architecture)
Maintainer: the parley authors
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Depends: $(depends)
Section: utils
Priority: optional
Description: chatbot engine that remembers
 Language-model APIs are stateless: whoever calls them is the memory. parley is that memory, as a
 program and as a C library: durable conversations, Lua policies, redaction, sealing, money.
END
echo 'activate-noawait ldconfig' >"$root/DEBIAN/triggers"
chmod -R u=rwX,go=rX "$root"
dpkg-deb --root-owner-group -Zzstd --build "$root" "$out" >/dev/null
