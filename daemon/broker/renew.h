/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates over MQTT, for devices that speak no HTTP. A device publishes a certification
 * request (PEM, DER or base64) to $gw/pki/csr and gets the certificate with that of its issuer
 * (PEM) on its response topic, or on $gw/pki/cert where it names none. Nobody else sees either of
 * the two, and no subscription is needed.
 *
 * On a connection with a certificate that is a renewal; when it may be, the store decides. On one
 * over TLS without, it is a first enrolment: the challengePassword of the request carries the
 * enrolment code or the password of the device. Both are for the connection's own device alone.
 * What is refused is told in the same place, as "STATUS sentence", with the status that EST would
 * have (RFC 7030, 4.2.3), and to MQTT 5 as the user properties "status" and "retry-after", too.
 *
 * The worker parses, the control thread asks the store. No access rule is needed; one that denies
 * the topic is obeyed.
 */
#pragma once

#include "daemon/broker/conn.h"

/* Whether a PUBLISH to this topic is for renew_received and not for subscribers. */
bool renew_topic(struct str topic);

/* What the publisher is told at once; *why is a phrase or NULL. The answer comes later. */
enum reason renew_received(struct conn *c, const struct packet *p, const char **why);
