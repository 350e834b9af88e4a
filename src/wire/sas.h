/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared access signatures:
 *
 *   SharedAccessSignature sr={resource}&sig={signature}&se={expiry}[&skn={policy}]
 *
 * in any order. The signature is HMAC-SHA256, under the base64-decoded key, of the literal text of
 * sr, a line feed and the literal text of se; so a token is verified over what was received and not
 * over a re-encoded form. A resource covers all that lies below it, segment by segment.
 *
 *   sas_parse -> sas_check_audience -> sas_check_time -> find the key -> sas_check_signature
 *
 * The caller decides which host names are the hub's, finds the key (of the policy `skn`, or of the
 * identity) and tries its primary, then its secondary. No function puts a key or a token into a
 * sentence. Pure: time comes in.
 */
#ifndef GEMEL_SAS_H
#define GEMEL_SAS_H

#include "buf.h"
#include "mem.h"

#define SAS_SIGNATURE_BYTES 32

struct sas {
    struct span resource_text; /* sr, literally */
    struct span expiry_text;   /* se, literally */
    struct span host;          /* of the resource: lower case, no port, no brackets */
    struct span path;          /* of the resource, decoded: "devices/d1"; empty: the whole hub */
    struct span policy;        /* skn, decoded; empty: the identity's own key */
    int64_t expires_s;         /* seconds since 1970 */
    uint8_t signature[SAS_SIGNATURE_BYTES];
};

/* Reads a token; spans point into it or into the arena. ERR_UNAUTHORIZED with what is wrong with
 * its form, ERR_MEMORY. */
enum err sas_parse(
    struct arena *arena, struct span token, struct sas *ret_sas, struct why *why) MUST_USE;

/*
 * Whether the token's resource covers a path of the hub: "devices/d1/modules/m1" is covered by
 * itself, "devices/d1", "devices" and "". Fixed words are compared without regard to case, ids
 * (every second segment) exactly; an id that was percent-encoded twice is accepted. The host is
 * left to the caller. ERR_UNAUTHORIZED.
 */
enum err sas_check_audience(const struct sas *sas, struct span path, struct why *why) MUST_USE;

/* Whether it is still valid at `now_us`; `skew_s` is how far the clocks may differ.
 * ERR_UNAUTHORIZED. */
enum err sas_check_time(
    const struct sas *sas, int64_t now_us, unsigned skew_s, struct why *why) MUST_USE;

/* Whether it was signed with this key (base64 text), in constant time. ERR_UNAUTHORIZED. */
enum err sas_check_signature(
    const struct sas *sas, struct span key_base64, struct why *why) MUST_USE;

/* Writes the resource path "devices/{d}[/modules/{m}]"; empty for an empty device id. */
void sas_write_path(struct buf *out, struct span device_id, struct span module_id);

struct sas_request {
    struct span host;      /* as in the connection string, with port if it has one */
    struct span device_id; /* empty: the whole hub (a service) */
    struct span module_id;
    struct span path;   /* in place of device and module: "registrations/{id}" of an id scope */
    struct span policy; /* skn; empty: the identity's own key */
    struct span key_base64;
    int64_t expires_s;
};

/* Appends a token. ERR_ARGUMENT if the key is no base64, ERR_MEMORY. */
enum err sas_sign(const struct sas_request *request, struct buf *out, struct why *why) MUST_USE;

#endif
