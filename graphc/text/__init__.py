"""The one text form of graphs: it prints and parses, and is the dump format, the test medium and the base of cache
keys.

    text    = "graph" (name | string) "(" [size {"," size}] ")" "{" {line} "return" [out {"," out}] {update} "}"
    line    = value "=" op ["[" field "=" literal {"," ...} "]"] "(" [value {"," value}] ")" ":" type
    out     = name "=" value
    update  = "update" value "=" value
    type    = dtype "[" [size {"," size}] "]"                  f32[batch, 10]
    size    = integer ["*" name {"*" name}] | name {"*" name}  2*batch
    literal = integer | true | false | string | size | dtype | type | "(" {literal ","} ")" | type "{" numbers "}"
    value   = "%" number

A comment runs from "#" to the end of its line and is not part of the graph. Fields that have their default are left
out.
"""

from graphc.text.parser import parse
from graphc.text.printer import print_graph

__all__ = ["parse", "print_graph"]
