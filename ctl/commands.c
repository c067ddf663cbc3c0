/* SPDX-License-Identifier: Apache-2.0
 *
 * Table of commands: see commands.def.
 */
#include "ctl/ctl.h"

/* clang-format off */
#define NOUN(noun, group, text)
#define CMD(id, noun, verb, method, path, show, run, summary) static const struct ctl_param params_##id[] = {
#define CMD_END(id, example) {NULL, NULL, false, OPTIONAL, TEXT, NULL, NULL}};
#define POS(name, field, need, text) {name, field, true, need, TEXT, NULL, text},
#define OPT(name, field, kind, arg, text) {name, field, false, OPTIONAL, kind, arg, text},
#include "ctl/commands.def"

const struct ctl_command ctl_commands[] = {
#define NOUN(noun, group, text)
#define CMD(id, noun, verb, method, path, show, run, summary) \
	{noun, verb, method, path, show, run, summary, params_##id,
#define CMD_END(id, example) example},
#define POS(name, field, need, text)
#define OPT(name, field, kind, arg, text)
#include "ctl/commands.def"
};

const struct ctl_noun ctl_nouns[] = {
#define NOUN(noun, group, text) {noun, group, text},
#define CMD(id, noun, verb, method, path, show, run, summary)
#define CMD_END(id, example)
#define POS(name, field, need, text)
#define OPT(name, field, kind, arg, text)
#include "ctl/commands.def"
};
/* clang-format on */
const size_t ctl_commands_n = ARRAY_LEN(ctl_commands);
const size_t ctl_nouns_n = ARRAY_LEN(ctl_nouns);
