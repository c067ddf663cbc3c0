# SPDX-License-Identifier: Apache-2.0
# One example of a bundle as a row for certs/examples.c: EXAMPLE("name", "text").
# daemon/base/literal.awk writes the text.
NR == 1 {
	n = split(FILENAME, part, "/")
	sub(/\.in$/, "", part[n])
	printf "EXAMPLE(\"%s\",\n", part[n]
}
