/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The installed packages of a machine, read from the databases of its package managers without
 * starting them. Everything is streamed: a package is handed out as it is read, and the memory that
 * is used does not grow with the database. Databases may be damaged or made by an enemy; what is
 * not understood is an error or left out, texts are cut to a length, and no file is read without
 * end.
 */
#ifndef GEMEL_PACKAGES_H
#define GEMEL_PACKAGES_H

#include "err.h"
#include "span.h"

/* Texts are borrowed for the call; empty where the database says nothing. They may hold any byte.
 */
struct package {
    struct span name; /* never empty */
    struct span version;
    struct span vendor; /* deb, apk, opkg: the maintainer */
    struct span architecture;
};

#define PACKAGE_NAME_MAX 256u
#define PACKAGE_VERSION_MAX 256u
#define PACKAGE_VENDOR_MAX 512u
#define PACKAGE_ARCHITECTURE_MAX 64u

/* Takes a package; false: no more, please. */
typedef bool package_sink(void *self, const struct package *package);

/* A text of a database, cut to what has room. */
struct package_text {
    size_t len;
    char bytes[PACKAGE_VENDOR_MAX];
};

/* The bytes of a database file after which reading ends with an error. */
#define PACKAGES_FILE_BYTES_MAX (512u * 1024 * 1024)

/* Opens a regular file; ERR_NOT_FOUND, ERR_IO. */
enum err packages_open(const char *path, int *ret_fd, struct why *why) MUST_USE;

/*
 * Read all packages of one kind of database. ERR_NOT_FOUND: there is none. ERR_IO, ERR_FORMAT,
 * ERR_MEMORY: what was handed out before is good.
 *
 *   dpkg, opkg   stanzas as in /var/lib/dpkg/status; what is not installed (any more) is left out.
 *                A directory holds such files, as distroless images do in status.d
 *   apk          /lib/apk/db/installed
 *   rpm          the headers in rpmdb.sqlite (which needs the machine's libsqlite3: rpm has it) or
 *                in Packages.db
 */
enum err packages_read_debian(
    const char *path, package_sink *sink, void *self, struct why *why) MUST_USE;
enum err packages_read_apk(
    const char *path, package_sink *sink, void *self, struct why *why) MUST_USE;
enum err packages_read_rpm_sqlite(
    const char *path, package_sink *sink, void *self, struct why *why) MUST_USE;
enum err packages_read_rpm_ndb(
    const char *path, package_sink *sink, void *self, struct why *why) MUST_USE;

#endif
