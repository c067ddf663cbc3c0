/* SPDX-License-Identifier: Apache-2.0
 *
 * Signatures from the vault: see sign.h.
 */
#include "daemon/ipc/sign.h"
#include "daemon/base/err.h"

enum { DATA_MAX = 1024, ASK_MAX = 2048 };

int sign_ask(struct rpc *vault, uint32_t key_id, int scheme, struct str data, struct buf *signature)
{
	const struct body_tls_sign ask = {key_id, (uint16_t)scheme, data};
	unsigned char bytes[ASK_MAX];
	struct out o = out_make(bytes, sizeof(bytes));
	struct body_tls_sign_done done;
	struct record reply;
	if (data.n > DATA_MAX)
		return ERR_LIMIT;
	body_tls_sign_put(&o, &ask);
	CHECK(out_ok(&o));
	const int err =
		rpc_ask(vault, MSG_TLS_SIGN, str_make(bytes, o.need), SIGN_TIMEOUT_MS, &reply);
	if (err)
		return err;
	if (reply.type != MSG_TLS_SIGN_DONE || body_tls_sign_done_get(reply.body, &done) ||
	    !done.ok)
		return ERR_CRYPTO;
	buf_str(signature, done.signature);
	return 0;
}
