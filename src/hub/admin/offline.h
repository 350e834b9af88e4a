/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of gemel-hub that need no running server. Each prints for a person and returns the
 * exit status: 0 done, 1 refused or failed (one sentence on standard error), 2 wrong usage.
 *
 * A backup is a directory of the same form as a data directory: a server starts from it as it is.
 */
#ifndef GEMEL_HUB_OFFLINE_H
#define GEMEL_HUB_OFFLINE_H

#include "err.h"

enum check_config_output { CHECK_CONFIG_VERDICT, CHECK_CONFIG_REFERENCE, CHECK_CONFIG_EXAMPLE };

/* Judges a configuration (file may be NULL), or prints the reference page or an example file. */
int hub_check_config(
    const char *file, const char *const *sets, size_t set_count, enum check_config_output output);

/* Copies database and certificates to a new place; the server may be running. */
int hub_backup(const char *data_dir, const char *backup_dir);

/* Makes a data directory from a backup; refuses a place that is not empty. */
int hub_restore(const char *data_dir, const char *backup_dir);

/* Brings the schema of the store up to date and says which one it is. */
int hub_migrate(const char *data_dir);

#endif
