/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What devices and modules ask over HTTPS (GUARD_DEVICE), judged as a CONNECT over MQTT is:
 *
 *   hub, and the token or certificate as such       caller's thread
 *   identity, its keys or authorities; prepare      READ
 *   still the same? run                             WRITE
 */
#ifndef GEMEL_SERVICE_DEVICE_API_H
#define GEMEL_SERVICE_DEVICE_API_H

#include "service_priv.h"

/* Takes over: it replies. */
void device_begin(struct rest *rest);

/* Whether the caller is still who he was. */
enum err device_judge_again(struct rest *rest, struct store_txn *txn, struct why *why) MUST_USE;

/* Who it is, to be throttled by. */
void device_show(
    const struct rest *rest, char *ret_kind, struct span *ret_name, struct span *ret_part);

/* Before the call is answered: frees what device_begin() made. */
void device_end(struct rest *rest, enum err err, const struct why *why);

#endif
