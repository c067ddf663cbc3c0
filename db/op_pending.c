/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers for operations that the store does not have yet; goes away with the last of them.
 */
#include "db/ops.h"
__attribute__((weak)) void op_status_(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_device_list(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_device_show(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_device_add(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_device_set(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_device_remove(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_cert_list(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_cert_show(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_cert_add(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_cert_revoke(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_ca_show(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_role_list(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_role_show(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_role_add(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_role_set(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_role_remove(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_acl_list(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_acl_add(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_acl_remove(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_client_list(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_client_show(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_client_remove(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_event_list(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_config_list(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_config_show(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_config_set(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
__attribute__((weak)) void op_setup_code_add(struct op_call *c)
{
	op_refuse(c, OP_FAILED, NULL, "this operation is not built yet");
}
