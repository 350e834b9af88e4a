/* SPDX-License-Identifier: Apache-2.0 */
/* What IoT Hub has and this hub has not keeps the paths that clients call, so that they hear why,
 * and what to do instead, and not that they have the wrong address. */
#include "service_priv.h"

static const struct {
    const char *part; /* of the path, as in operations.def */
    const char *sentence;
} REASONS[] = {
    {"/digitaltwins/",
        "digital twins are not offered: the same properties are in the device's twin, "
        "under /twins, and its commands are direct methods"},
    {"/files",
        "file upload is not offered, as it needs a storage account of Azure: send messages of "
        "up to 256 KiB, or upload to a server of your own"},
    {"DeviceScope",
        "the scope of an edge device is not offered to its modules: each device connects "
        "to the hub by itself"},
    {"/jobs",
        "import and export jobs are not offered, as they need a storage account of Azure: the "
        "commands gemel hub import and gemel hub export read and write the same files"},
};

enum err not_offered(struct rest *rest)
{
    for (size_t i = 0; i < COUNT_OF(REASONS); i++)
        if (strstr(rest->operation->path, REASONS[i].part) != NULL)
            return fail(ERR_NOT_OFFERED, rest->why, "%s", REASONS[i].sentence);
    return ERR_NOT_OFFERED;
}
