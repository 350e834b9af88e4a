/* SPDX-License-Identifier: Apache-2.0 */
/* gemel-errors-doc: prints docs/reference/errors.md from err.def. */
#include "err.h"

#include <stdio.h>
#include <stdlib.h>

static const char introduction[] =
    "# Errors\n"
    "\n"
    "<!-- Written by gemel-errors-doc from src/base/err.def: change it there. -->\n"
    "\n"
    "What the hub answers when it refuses. Over REST: the status, the name in the header\n"
    "`iothub-errorcode`, and `ErrorCode:NAME;SENTENCE` as `Message` of the body. Over MQTT: the\n"
    "status in the topic, the code as `errorCode` in the body. The sentence here stands where\n"
    "nothing more precise is known; mostly the answer says which field, which value and what was\n"
    "allowed. Names and codes are IoT Hub's,\n"
    "those from 900 on in their class (401900) Gemel's.\n"
    "\n"
    "| status | code | name | retry | sentence |\n"
    "| --- | --- | --- | --- | --- |\n";

int main(void)
{
    bool done = fputs(introduction, stdout) >= 0;
    for (unsigned i = 0; i < ERR_COUNT; i++) {
        const struct err_row *row = err_row((enum err)i);
        if (row->hub_code != 0)
            done = printf("| %d | %d | `%s` | %s | %s |\n", row->http_status, row->hub_code,
                       row->hub_name, row->retry ? "yes" : "no", row->text) > 0 &&
                   done;
    }
    if (!done || fflush(stdout) != 0) {
        fprintf(stderr, "gemel-errors-doc: the text could not be written\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
