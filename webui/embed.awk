# SPDX-License-Identifier: Apache-2.0
#
# usage: awk -v dist=FOLDER -v what=data|table -f webui/embed.awk dist/assets.list
#
# From the list of files: assembler that includes their bytes (data), and the table of them as C (table).
what == "data" && NR == 1 { print "\t.section .rodata" }
what == "data" {
	printf "\t.balign 16\n\t.globl asset_%d_begin\nasset_%d_begin:\n", NR, NR
	printf "\t.incbin \"%s/%s\"\n\t.globl asset_%d_end\nasset_%d_end:\n", dist, $5, NR, NR
}
what == "table" {
	printf "ASSET(%d, \"%s\", \"%s\", \"%s\", \"%s\")\n", NR, $1, $2, $3, $4 == "-" ? "" : $4
}
END { if (what == "data") print "\t.section .note.GNU-stack,\"\",%progbits" }
