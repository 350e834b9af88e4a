/* SPDX-License-Identifier: Apache-2.0 */
#include "describe_priv.h"
#include "settings_doc.h"

static const char introduction[] =
    "# Settings of the micro agent\n"
    "\n"
    "<!-- Written by gemel-settings-doc from src/settings/settings.def: change it there. -->\n"
    "\n"
    "Set them in the desired properties of the module `DefenderIotMicroAgent`, at the top level.\n"
    "What is absent, or null, has its default. `conf.json` on the device may set them too: its\n"
    "values then stand in for the defaults, and the twin's win over them.\n"
    "`gemel-agent check FILE` judges a document without applying it, and `gemel-agent schema`\n"
    "prints this table as a JSON Schema.\n"
    "\n"
    "## How a document is judged\n"
    "\n"
    "- All or nothing: with one bad member nothing of the document is applied, and what was in\n"
    "  force stays in force. Every bad member is named, not only the first.\n"
    "- Types are strict: `256` is an integer, `256.0` and `\"256\"` are not; `\"Low\"` is a\n"
    "  frequency, `\"low\"` is not.\n"
    "- A list is one string. It is split at commas and its items are trimmed; an empty item is\n"
    "  bad, a repeated one is dropped. The reported form is `a,b`, whatever blanks stood there.\n"
    "- Lengths are counted in bytes of UTF-8.\n"
    "- A name that no setting has is bad; the nearest known name is said.\n"
    "- `Statistics_*` is accepted for `StatisticEvents_*`. Both with different values are bad, "
    "and\n"
    "  both are named.\n"
    "- Settings of `conf.json` only are bad in the twin.\n"
    "- A change starts again only the part that the setting belongs to.\n"
    "\n"
    "## What is reported\n"
    "\n"
    "Every value in force under its own name (optional texts only when they are not empty), and:\n"
    "\n"
    "| key | value |\n"
    "| --- | --- |\n"
    "| `latest_state` | `success` or `failed` |\n"
    "| `latest_invalid_fields` | the names of the bad members by alphabet, joined by commas; empty "
    "on "
    "success. Past 4000 bytes the rest is `...+N`, the number of names left out |\n"
    "| `latest_errors` | an object: name of the bad member → what is wrong, what is allowed, the "
    "default. What has no room in 4000 bytes is counted under `_left_out` |\n"
    "| `latest_desired_version` | the `$version` of desired that this is about |\n"
    "| `agent_version` | the version of the agent |\n"
    "\n"
    "In both lists a byte of a name that no twin key may hold (and `,`, `%`, a leading `_`, all\n"
    "that is not ASCII) is written `%XX`; a name longer than 96 bytes is cut and ends in `~` and "
    "a\n"
    "hash of the whole; the empty name is `%`.\n";

static void write_setting(const struct setting *row, struct buf *out)
{
    buf_add_format(out, "\n### %s\n\n%s\n\n- allowed: ", row->name, row->help);
    describe_allowed(row, out);
    if (row->optional) {
        buf_add_text(out, "\n- default: not set\n");
    } else {
        buf_add_text(out, "\n- default: `");
        describe_default(row, out);
        buf_add_text(out, "`\n");
    }
    if (row->unit != NULL)
        buf_add_format(out, "- unit: %s\n", row->unit);
    if (row->alias != NULL)
        buf_add_format(out, "- also accepted as: `%s`\n", row->alias);
    if (row->local)
        buf_add_text(out, "- in `conf.json` only\n");
    if (row->secret)
        buf_add_text(out, "- secret: never shown or logged\n");
}

void settings_write_reference(struct buf *out)
{
    buf_add_text(out, introduction);
    for (unsigned part = 0; part < PART_COUNT; part++) {
        const struct setting_part_row *row = setting_part_row((enum setting_part)part);
        buf_add_format(out, "\n## %s (`%s`)\n", row->title, row->name);
        for (unsigned id = 0; id < SETTING_COUNT; id++)
            if (setting_row((enum setting_id)id)->part == part)
                write_setting(setting_row((enum setting_id)id), out);
    }
}
