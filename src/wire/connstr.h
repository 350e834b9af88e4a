/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connection strings: "HostName=…;DeviceId=…;SharedAccessKey=…", of a device, a module or a service
 * (a shared access policy). Keys come in any order and are compared without regard to case; values
 * may contain '='. A byte order mark before and blanks or line ends around the text are passed
 * over, because these strings live in files that people edit. No sentence ever holds a key. Pure.
 */
#ifndef GEMEL_CONNSTR_H
#define GEMEL_CONNSTR_H

#include "buf.h"

struct connstr {
    struct span host_name; /* may carry a port: "hub.local:8443" */
    struct span gateway_host_name;
    struct span device_id;
    struct span module_id;
    struct span key_name;  /* SharedAccessKeyName */
    struct span key;       /* SharedAccessKey, base64 */
    struct span signature; /* SharedAccessSignature */
    bool x509;
};

/* Reads any of them; spans point into the text. ERR_FORMAT names the field that is unknown, given
 * twice, or empty. */
enum err connstr_parse(struct span text, struct connstr *ret_connstr, struct why *why) MUST_USE;

/* Check that what a device or module needs is there: HostName, DeviceId and exactly one of
 * SharedAccessKey, SharedAccessSignature, x509=true; or what a service needs: HostName,
 * SharedAccessKeyName and SharedAccessKey or SharedAccessSignature. ERR_FORMAT names what is not.
 */
enum err connstr_check_device(const struct connstr *connstr, struct why *why) MUST_USE;
enum err connstr_check_service(const struct connstr *connstr, struct why *why) MUST_USE;

/* Writes the fields that are there, in the order the Azure tools use. */
void connstr_write(const struct connstr *connstr, struct buf *out);

#endif
