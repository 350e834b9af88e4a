/* SPDX-License-Identifier: Apache-2.0 */
/* dps enrollment-group compute-device-key: the key of one device, from that of its group. */
#include "client.h"
#include "commands.h"
#include "provision.h"

int device_key_compute(struct cli *cli)
{
    AUTO(buf_wipe) struct buf key = BUF_EMPTY;
    struct span group_key;
    struct why why = {""};
    struct span id = cli_span(cli, OPTION_REGISTRATION_ID);
    if (provision_check_id(id, &why) != ERR_NONE)
        return cli_fail(cli, EXIT_USAGE, "%s", why.text);
    int status = cli_load(cli, OPTION_KEY, false, &group_key);
    if (status != EXIT_DONE)
        return status;
    if (provision_write_device_key(group_key, id, &key, &why) != ERR_NONE)
        return cli_fail(cli, EXIT_USAGE, "--key is no key of a group: %s", why.text);
    struct json *answer = json_new(&cli->arena, JSON_OBJECT);
    if (answer == NULL || !json_set_text(&cli->arena, answer, "deviceKey", buf_span(&key)))
        return cli_fail(cli, EXIT_REFUSED, "out of memory");
    return cli_print(cli, answer);
}
