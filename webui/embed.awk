# SPDX-License-Identifier: Apache-2.0
#
# usage: awk -v dist=FOLDER -v what=data|table [-v kind=NAME] -f webui/embed.awk dist/assets.list
#
# From the list of files: assembler that includes their bytes (data), and the table of them as C (table).
# kind keeps the names of several lists apart.
{ id = kind NR }
what == "data" && NR == 1 { print "\t.section .rodata" }
what == "data" {
	printf "\t.balign 16\n\t.globl asset_%s_begin\nasset_%s_begin:\n", id, id
	printf "\t.incbin \"%s/%s\"\n\t.globl asset_%s_end\nasset_%s_end:\n", dist, $5, id, id
}
what == "table" {
	printf "ASSET(%s, \"%s\", \"%s\", \"%s\", \"%s\")\n", id, $1, $2, $3, $4 == "-" ? "" : $4
}
END { if (what == "data") print "\t.section .note.GNU-stack,\"\",%progbits" }
