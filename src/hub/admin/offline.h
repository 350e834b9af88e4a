/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of gemel-hub that need no running server. Each prints for a person and returns the
 * exit status: 0 done, 1 refused or failed (one sentence on standard error), 2 wrong usage.
 */
#ifndef GEMEL_HUB_OFFLINE_H
#define GEMEL_HUB_OFFLINE_H

#include "err.h"

enum check_config_output { CHECK_CONFIG_VERDICT, CHECK_CONFIG_REFERENCE, CHECK_CONFIG_EXAMPLE };

/* Judges a configuration (file may be NULL), or prints the reference page or an example file. */
int hub_check_config(
    const char *file, const char *const *sets, size_t set_count, enum check_config_output output);

/* Writes one file with the database and the certificates; the server may be running. */
int hub_backup(const char *data_dir, const char *file);

/* Makes a data directory from such a file; refuses one that exists and is not empty. */
int hub_restore(const char *data_dir, const char *file);

/* Brings the schema of the store up to date and says which version it has. */
int hub_migrate(const char *data_dir);

#endif
