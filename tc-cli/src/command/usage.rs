//! Usage texts. Those of `tc` are unchanged, because scripts match them.

use crate::context::extension::Extensions;
use crate::context::globals::EXTENSION_OPTIONS;

/// `-V`: as `tc` begins it, for those who look for iproute2's version.
pub(crate) const VERSION: &str =
    concat!("tc utility, iproute2-6.1.0 compatible, tc-cli ", env!("CARGO_PKG_VERSION"), "\n");

/// `tc help`, and the additional commands and options.
pub(crate) fn tc(extensions: Extensions) -> String {
    // Called by the name `tc`: the text of tc 6.1.
    if extensions.is_empty() {
        return TC.replace("| monitor }", "| monitor | exec }").replace(" | -echo }", " }");
    }
    let commands = extensions.iter().map(|extension| (extension.name, extension.about));
    let more = commands.chain(EXTENSION_OPTIONS.iter().copied());
    let lines: String = more.map(|(name, about)| format!("  {name:12} {about}\n")).collect();
    format!("{TC}Of tc-cli alone:\n{lines}")
}

const TC: &str = "\
Usage:\ttc [ OPTIONS ] OBJECT { COMMAND | help }
\ttc [-force] -batch filename
where  OBJECT := { qdisc | class | filter | chain |
		    action | monitor }
       OPTIONS := { -V[ersion] | -s[tatistics] | -d[etails] | -r[aw] |
\t\t    -o[neline] | -j[son] | -p[retty] | -c[olor]
\t\t    -b[atch] [filename] | -n[etns] name | -N[umeric] |
\t\t     -nm | -nam[es] | { -cf | -conf } path
\t\t     -br[ief] | -echo }
";

/// `tc qdisc help`.
pub(crate) const QDISC: &str = "\
Usage: tc qdisc [ add | del | replace | change | show ] dev STRING
       [ handle QHANDLE ] [ root | ingress | clsact | parent CLASSID ]
       [ estimator INTERVAL TIME_CONSTANT ]
       [ stab [ help | STAB_OPTIONS] ]
       [ ingress_block BLOCK_INDEX ] [ egress_block BLOCK_INDEX ]
       [ [ QDISC_KIND ] [ help | OPTIONS ] ]

       tc qdisc { show | list } [ dev STRING ] [ QDISC_ID ] [ invisible ]
Where:
QDISC_KIND := { [p|b]fifo | tbf | prio | cbq | red | etc. }
OPTIONS := ... try tc qdisc add <desired QDISC_KIND> help
STAB_OPTIONS := ... try tc qdisc add stab help
QDISC_ID := { root | ingress | handle QHANDLE | parent CLASSID }
";

/// `tc class help`.
pub(crate) const CLASS: &str = "\
Usage: tc class [ add | del | change | replace | show ] dev STRING
       [ classid CLASSID ] [ root | parent CLASSID ]
       [ [ QDISC_KIND ] [ help | OPTIONS ] ]

       tc class show [ dev STRING ] [ root | parent CLASSID ]
Where:
QDISC_KIND := { prio | cbq | etc. }
OPTIONS := ... try tc class add <desired QDISC_KIND> help
";

/// `tc filter help`.
pub(crate) const FILTER: &str = "\
Usage: tc filter [ add | del | change | replace | show ] [ dev STRING ]
       tc filter [ add | del | change | replace | show ] [ block BLOCK_INDEX ]
       tc filter get dev STRING parent CLASSID protocol PROTO handle FILTERID pref PRIO FILTER_TYPE
       tc filter get block BLOCK_INDEX protocol PROTO handle FILTERID pref PRIO FILTER_TYPE
       [ pref PRIO ] protocol PROTO [ chain CHAIN_INDEX ]
       [ estimator INTERVAL TIME_CONSTANT ]
       [ root | ingress | egress | parent CLASSID ]
       [ handle FILTERID ] [ [ FILTER_TYPE ] [ help | OPTIONS ] ]

       tc filter show [ dev STRING ] [ root | ingress | egress | parent CLASSID ]
       tc filter show [ block BLOCK_INDEX ]
Where:
FILTER_TYPE := { rsvp | u32 | bpf | fw | route | etc. }
FILTERID := ... format depends on classifier, see there
OPTIONS := ... try tc filter add <desired FILTER_KIND> help
";

/// `tc chain help`.
pub(crate) const CHAIN: &str = "\
Usage: tc chain [ add | del | get | show ] [ dev STRING ]
       tc chain [ add | del | get | show ] [ block BLOCK_INDEX ] ]
";

/// `tc exec help`.
pub(crate) const EXEC: &str = "\
Usage: tc exec [ EXEC_TYPE ] [ help | OPTIONS ]
Where:
EXEC_TYPE := { bpf | etc. }
OPTIONS := ... try tc exec <desired EXEC_KIND> help
";

/// `tc actions help`.
pub(crate) const ACTIONS: &str = "\
usage: tc actions <ACTSPECOP>*
Where: 	ACTSPECOP := ACR | GD | FL
	ACR := add | change | replace <ACTSPEC>*
	GD := get | delete | <ACTISPEC>*
	FL := ls | list | flush | <ACTNAMESPEC>
	ACTNAMESPEC :=  action <ACTNAME>
	ACTISPEC := <ACTNAMESPEC> <INDEXSPEC>
	ACTSPEC := action <ACTDETAIL> [INDEXSPEC] [HWSTATSSPEC] [SKIPSPEC]
	INDEXSPEC := index <32 bit indexvalue>
	HWSTATSSPEC := hw_stats [ immediate | delayed | disabled ]
	SKIPSPEC := [ skip_sw | skip_hw ]
	ACTDETAIL := <ACTNAME> <ACTPARAMS>
		Example ACTNAME is gact, mirred, bpf, etc
		Each action has its own parameters (ACTPARAMS)

";

/// `tc monitor help`.
pub(crate) const MONITOR: &str = "Usage: tc [-timestamp [-tshort] monitor\n";
