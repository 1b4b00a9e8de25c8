# build/bench/*.json (tests/support/bench.c) as one SVG picture: a bar a row, how many times better than the
# other; a mark where the aim is. The scale is logarithmic, its line at 1 is "as good as the other".

function value_of(line) {
	sub(/^[^:]*:/, "", line)
	sub(/,$/, "", line)
	if (line ~ /^"/)
		line = substr(line, 2, length(line) - 2)
	gsub(/\\\//, "/", line)
	gsub(/\\"/, "\"", line)
	return line
}

function xml(text) {
	gsub(/&/, "\\&amp;", text)
	gsub(/</, "\\&lt;", text)
	gsub(/>/, "\\&gt;", text)
	return text
}

# "aim 0.83 (1/1.2)" and "budget 6": within a budget is 1 or more.
function aim_of(text,   words) {
	split(text, words, " ")
	return words[1] == "aim" ? words[2] + 0 : words[1] == "budget" ? 1 : 0
}

function number(x) {
	return x >= 100 ? sprintf("%.0f", x) : x >= 10 ? sprintf("%.1f", x) : sprintf("%.2f", x)
}

function x_of(ratio) {
	ratio = ratio < LOW ? LOW : ratio > HIGH ? HIGH : ratio
	return LEFT + WIDTH * (log(ratio / LOW) / log(HIGH / LOW))
}

function put(text) {
	body = body text "\n"
}

function text_at(x, y, class, text) {
	put(sprintf("<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">%s</text>", x, y, class, xml(text)))
}

function mark(x, y) {
	put(sprintf("<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" class=\"aim\"/>", x, x, y - 14, y + 4))
}

function bar(ratio, aim, y,   from, to, end) {
	from = x_of(1)
	to = x_of(ratio)
	put(sprintf("<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"12\" class=\"%s\"/>",
		from < to ? from : to, y - 11, from < to ? to - from : from - to,
		aim == 0 ? "plain" : ratio >= aim ? "good" : "bad"))
	end = to > from ? to : from
	if (aim > 0) {
		mark(x_of(aim), y)
		end = x_of(aim) > end ? x_of(aim) : end
	}
	text_at(end + 6, y - 1, "ratio", number(ratio) "x")
}

function heading(y,   name) {
	name = FILENAME
	sub(/.*\//, "", name)
	sub(/\.json$/, "", name)
	text_at(16, y, "file", name)
}

function row() {
	y += 22
	text_at(16, y, "what", what)
	if (berth > 0 && other > 0)
		bar(other / berth, aim_of(aim), y)
	text_at(LEFT + WIDTH + 60, y, "figures", number(berth) " " unit \
		(other > 0 ? (aim ~ /^budget/ ? ", budget " : " / ") number(other) " " unit : "") \
		(aim ~ /^aim/ ? ", " aim : ""))
}

function scale(   ratio) {
	for (ratio = LOW; ratio <= HIGH; ratio *= 10) {
		printf "<line x1=\"%.1f\" x2=\"%.1f\" y1=\"76\" y2=\"%d\" class=\"%s\"/>\n", x_of(ratio), x_of(ratio), \
			y + 10, ratio == 1 ? "one" : "grid"
		printf "<text x=\"%.1f\" y=\"70\" class=\"tick\">%sx</text>\n", x_of(ratio), ratio
	}
}

BEGIN {
	LEFT = 500; WIDTH = 480; LOW = 0.1; HIGH = 1000
	y = 76
}

FNR == 1 { y += 34; heading(y) }
/"what":/ { what = value_of($0) }
/"berth":/ { berth = value_of($0) + 0 }
/"other":/ { other = value_of($0) + 0 }
/"unit":/ { unit = value_of($0) }
/"aim":/ { aim = value_of($0); row() }

END {
	printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\">\n", \
		LEFT + WIDTH + 330, y + 40
	print "<style>text{font-size:12px;fill:#222}.file{font-size:14px;font-weight:bold}" \
		".title{font-size:16px;font-weight:bold}.figures,.tick,.note{fill:#666;font-size:11px}" \
		".tick{text-anchor:middle}.grid{stroke:#ddd}.one{stroke:#777}.aim{stroke:#000;stroke-width:2.5}" \
		".good{fill:#3c8d5a}.bad{fill:#c8553d}.plain{fill:#7d93b2}</style>"
	print "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
	print "<text x=\"16\" y=\"24\" class=\"title\">How many times better than the other</text>"
	print "<text x=\"16\" y=\"42\" class=\"note\">black mark: the aim; green: reached, red: not, blue: no aim is set;" \
		" no bar: nothing to compare with</text>"
	scale()
	printf "%s", body
	print "</svg>"
}
