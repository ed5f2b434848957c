/** The page of a report. What does not move is written here; charts and the rows are the script's. */

import { count, counted } from "./countText.js"
import type { Amount, ErrorClass, Part, Report, Row } from "./reportData.js"
import * as Page from "./reportPage.js"
import { durationText } from "./reportText.js"

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;"
}

/** A text as part of the page, of an attribute too. */
const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => entities[character] ?? "")

/** JSON within a script element: nothing in it can end the element. */
const embed = (value: unknown): string => JSON.stringify(value).replaceAll("<", "\\u003c")

const millis = (n: number | undefined): string => (n === undefined ? "–" : durationText(n))

const share = (part: number, of: number): string =>
  `${of === 0 ? 0 : Number(((part / of) * 100).toPrecision(3))} %`

// Nothing outside of the file can be asked for, and no script run but the page's own.
const policy = [
  "default-src 'none'",
  `script-src '${Page.scriptHash}'`,
  `style-src '${Page.styleHash}'`,
  "base-uri 'none'",
  "form-action 'none'"
].join("; ")

const figure = (name: string, label: string, value: string, more: ReadonlyArray<string> = []): string =>
  `<div data-figure="${name}"><dt>${label}</dt><dd class="value">${escape(value)}</dd>${more
    .map((line) => `<dd class="more">${escape(line)}</dd>`)
    .join("")}</div>`

/** What may come on top of the cost. No sum is told of calls that have no bound. */
const unsettledLines = (unsettled: Report["money"]["unsettled"]): ReadonlyArray<string> => {
  if (unsettled === undefined) return []
  const { attempts, unbounded, worst } = unsettled
  const bounded = attempts - unbounded
  return [
    ...(bounded === 0 ? [] : [`and at most ${worst.text} for ${counted(bounded, "call")} of unknown end`]),
    ...(unbounded === 0 ? [] : [`and ${counted(unbounded, "call")} of unknown end without a bound`])
  ]
}

const figures = (report: Report): string => {
  const { callLatency, interrupted, money, requestLatency, requests, timeline, tokens, wallSeconds } = report
  const { attempts, cached, failed, succeeded, total } = requests
  const latency = requestLatency ?? callLatency
  const logged = timeline === undefined ? 0 : timeline.answered.length * timeline.step
  const took = wallSeconds === undefined ? logged : wallSeconds * 1_000
  const ends = timeline === undefined ? 0 : timeline.answered.reduce((sum, n) => sum + n, 0)
  const isZero = (amount: Amount | undefined) => amount === undefined || amount.dollars === 0
  return [
    figure("requests", "Requests", count(total), [
      `${count(succeeded)} answered, ${share(succeeded, total)}`
    ]),
    figure("failed", "Failed", count(failed), [failed === 0 ? "none" : share(failed, total)]),
    figure("cached", "From the cache", count(cached), [
      isZero(money.saved) ? share(cached, total) : `${money.saved?.text} saved`
    ]),
    figure("cost", "Cost", money.cost.text, [
      ...(isZero(money.wasted) ? [] : [`${money.wasted?.text} of it paid in vain`]),
      ...unsettledLines(money.unsettled),
      ...(money.unpriced.length === 0 ? [] : [`without ${money.unpriced.slice(0, 5).join(", ")}: no price`])
    ]),
    figure("tokens", "Tokens", count(tokens.inputTokens + tokens.outputTokens), [
      `${count(tokens.inputTokens)} in, ${count(tokens.outputTokens)} out`
    ]),
    figure("calls", "Calls", count(attempts), [
      `${Number((attempts / Math.max(1, total)).toPrecision(3))} for each request`
    ]),
    ...(latency === undefined
      ? []
      : [
          figure("latency", "Latency, median", durationText(latency.p50), [
            `p95 ${durationText(latency.p95)}, p99 ${durationText(latency.p99)}`
          ])
        ]),
    ...(took === 0
      ? []
      : [
          figure("time", "Time", durationText(took), [
            ...(ends === 0 || logged === 0
              ? []
              : [`${Number(((ends * 1_000) / logged).toPrecision(3))} answers a second`]),
            ...(interrupted === true ? ["the run was stopped"] : [])
          ])
        ])
  ].join("")
}

const bar = (part: number, of: number): string =>
  `<svg class="bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true"><rect class="rest" width="100" height="10" rx="1"/><rect width="${of === 0 ? 0 : (part / of) * 100}" height="10" rx="1"/></svg>`

/** A column of a table. */
interface Column<A> {
  readonly name: string
  readonly kind: "name" | "number" | "text" | "share"
  readonly html: (item: A) => string
  /** What it is sorted by, if not by its text. */
  readonly value?: ((item: A) => number | undefined) | undefined
}

const table = <A>(label: string, columns: ReadonlyArray<Column<A>>, items: ReadonlyArray<A>): string => {
  const head = columns.map(({ kind, name }) => `<th scope="col" class="${kind}">${name}</th>`).join("")
  const rows = items.map((item) => {
    const cells = columns.map(({ html, kind, value }) => {
      const sorted = value === undefined ? "" : ` data-value="${value(item) ?? ""}"`
      return `<td class="${kind}"${sorted}>${html(item)}</td>`
    })
    return `<tr>${cells.join("")}</tr>`
  })
  return `<div class="sheet" role="region" aria-label="${label}" tabindex="0"><table class="sortable"><thead><tr>${head}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`
}

const number = <A>(name: string, value: (item: A) => number | undefined): Column<A> => ({
  name,
  kind: "number",
  html: (item) => {
    const found = value(item)
    return found === undefined ? "–" : count(found)
  },
  value
})

const money = <A>(name: string, value: (item: A) => Amount | undefined): Column<A> => ({
  name,
  kind: "number",
  html: (item) => escape(value(item)?.text ?? "–"),
  value: (item) => value(item)?.dollars
})

const text = <A>(name: string, kind: "name" | "text", value: (item: A) => string | undefined): Column<A> => ({
  name,
  kind,
  html: (item) => escape(value(item) ?? "–")
})

const sums: ReadonlyArray<Column<Part>> = [
  number("Calls", ({ attempts }) => attempts),
  number("Answered", ({ answered }) => answered),
  number("Failed", ({ failed }) => failed),
  number("Tokens in", ({ inputTokens }) => inputTokens),
  number("Tokens out", ({ outputTokens }) => outputTokens)
]

/** An amount, with a mark where calls are not in it. */
const cost: Column<Part> = {
  name: "Cost",
  kind: "number",
  html: ({ cost, unpriced }) =>
    unpriced === 0
      ? escape(cost.text)
      : `${cost.dollars === 0 ? "" : `${escape(cost.text)} + `}<span title="${counted(unpriced, "call")} of a model without a price">no price</span>`,
  value: ({ cost }) => cost.dollars
}

const latencies: ReadonlyArray<Column<Part>> = [
  { name: "p50", kind: "number", html: ({ p50 }) => millis(p50), value: ({ p50 }) => p50 },
  { name: "p95", kind: "number", html: ({ p95 }) => millis(p95), value: ({ p95 }) => p95 }
]

const costs = ({ models, money: { cost: total }, parts, tasks }: Report): string => {
  const wasted = parts.some((part) => part.wasted !== undefined)
    ? [money<Part>("Paid in vain", (part) => part.wasted)]
    : []
  const most = Math.max(0, ...models.map((model) => model.cost.dollars))
  const byModel = table<Part>(
    "By model",
    [
      text("Model", "name", ({ model }) => model),
      cost,
      {
        name: "",
        kind: "share",
        html: (part) =>
          `${bar(part.cost.dollars, most)}<span class="quiet">${share(part.cost.dollars, total.dollars)}</span>`
      },
      text("Provider", "name", ({ provider }) => provider),
      ...sums
    ],
    models
  )
  const byEndpoint = table<Part>(
    "By endpoint",
    [
      text("Endpoint", "name", ({ endpoint }) => endpoint),
      text("Model", "name", ({ model }) => model),
      ...sums,
      cost,
      ...wasted,
      ...latencies
    ],
    parts
  )
  const byTask = table<Part>(
    "By task",
    [
      text("Task", "name", ({ task }) => (task === "" ? "(none)" : task)),
      ...sums,
      cost,
      ...wasted,
      ...latencies
    ],
    tasks
  )
  return `${byModel}<h3 class="of">By endpoint</h3>${byEndpoint}${tasks.length === 0 ? "" : `<h3 class="of">By task</h3>${byTask}`}`
}

const tokenTable = ({ tokens }: Report): string => {
  const {
    audioInputTokens,
    audioOutputTokens,
    cacheReadTokens,
    cacheWriteTokens,
    inputTokens,
    outputTokens,
    reasoningTokens
  } = tokens
  const all = inputTokens + outputTokens
  const classes: ReadonlyArray<readonly [name: string, count: number]> = [
    ["Input", inputTokens],
    ["– of it read from the provider's cache", cacheReadTokens],
    ["– of it written to the provider's cache", cacheWriteTokens],
    ["– of it audio", audioInputTokens],
    ["Output", outputTokens],
    ["– of it reasoning", reasoningTokens],
    ["– of it audio", audioOutputTokens]
  ]
  return table<(typeof classes)[number]>(
    "Tokens by class",
    [
      text("Class", "name", ([name]) => name),
      number("Tokens", ([, count]) => count),
      {
        name: "",
        kind: "share",
        html: ([, count]) => `${bar(count, all)}<span class="quiet">${share(count, all)}</span>`
      }
    ],
    classes.filter(([name, count]) => count > 0 || !name.startsWith("–"))
  ).replace('class="sortable"', "")
}

const errorTable = (errors: ReadonlyArray<ErrorClass>): string =>
  table<ErrorClass>(
    "Errors by class",
    [
      text("Class", "name", ({ tag }) => tag),
      number("Requests that failed", ({ requests }) => requests),
      ...(errors.some(({ attempts }) => attempts !== undefined)
        ? [number<ErrorClass>("Calls that failed", ({ attempts }) => attempts)]
        : []),
      {
        name: "Examples",
        kind: "text",
        html: ({ examples }) =>
          `<ul class="examples">${examples
            .map(({ index, message, status }) => {
              const where = [
                index === undefined ? "" : `#${index}`,
                status === undefined ? "" : String(status)
              ]
              return `<li><span class="quiet">${where.filter((part) => part !== "").join(" · ")}</span> <code>${escape(message)}</code></li>`
            })
            .join("")}</ul>`
      }
    ],
    errors
  )

const rowTable = (label: string, indexes: ReadonlyArray<number>, rows: ReadonlyMap<number, Row>): string =>
  table<Row>(
    label,
    [
      { name: "Row", kind: "name", html: ({ index }) => `#${index}`, value: ({ index }) => index },
      text("Model", "name", ({ model }) => model),
      {
        name: "Latency",
        kind: "number",
        html: ({ latencyMs }) => millis(latencyMs),
        value: ({ latencyMs }) => latencyMs
      },
      number("Calls", ({ attempts }) => attempts),
      number("Tokens in", ({ inputTokens }) => inputTokens),
      number("Tokens out", ({ outputTokens }) => outputTokens),
      money("Cost", ({ cost }) => cost),
      {
        name: "Text",
        kind: "text",
        html: ({ error, prompt, text }) =>
          `<div class="clamp">${error === undefined ? "" : `<span class="chip failed">${escape(error)}</span> `}${escape(prompt ?? text)}</div>`
      }
    ],
    indexes.flatMap((index) => rows.get(index) ?? [])
  )

const searchTools = (errors: ReadonlyArray<ErrorClass>): string => `<div class="tools">
<label class="search">Search<input id="search" type="search" placeholder="words of prompt, answer, error, id, metadata" autocomplete="off"></label>
<label>Outcome<select id="outcome"><option value="">all</option><option value="answered">answered</option><option value="cached">from the cache</option><option value="failed">failed</option>${errors
  .filter(({ requests }) => requests > 0)
  .map(({ tag }) => `<option value="${escape(tag)}">${escape(tag)}</option>`)
  .join("")}</select></label>
<label>Model<select id="model"><option value="">all</option></select></label>
</div>`

const rowColumns: ReadonlyArray<readonly [name: string, kind: string]> = [
  ["Row", ""],
  ["Outcome", ""],
  ["Model", ""],
  ["Text", "text"],
  ["Latency", "number"],
  ["Calls", "number"],
  ["Tokens", "number"],
  ["Cost", "number"]
]

const section = (id: string, title: string, content: string): string =>
  content === ""
    ? ""
    : `<section aria-labelledby="${id}-title"><h2 id="${id}-title">${title}</h2>${content}</section>`

const stateOf = ({ interrupted, requests }: Report): string =>
  interrupted === true
    ? '<span class="chip stopped">stopped</span>'
    : requests.failed > 0
      ? `<span class="chip failed">${count(requests.failed)} failed</span>`
      : '<span class="chip">all answered</span>'

/** The whole page. */
export const html = (report: Report): string => {
  const {
    callLatency,
    dearest,
    errors,
    limits,
    madeAt,
    notes,
    requestLatency,
    rows,
    slowest,
    timeline,
    title
  } = report
  const byIndex = new Map(rows.map((row) => [row.index, row]))
  const made = new Date(madeAt).toISOString()
  const sections: ReadonlyArray<readonly [id: string, title: string, content: string]> = [
    [
      "time",
      "Over time",
      timeline === undefined
        ? ""
        : `<p class="quiet">Time since ${new Date(timeline.start).toISOString().slice(0, 19).replace("T", " ")} UTC, in steps of ${durationText(timeline.step)}. A call counts where it ended.</p><div class="charts" id="over-time"></div>`
    ],
    [
      "latency",
      "Latency",
      requestLatency === undefined && callLatency === undefined
        ? ""
        : '<div class="charts" id="distributions"></div>'
    ],
    ["cost", "Cost by model", costs(report)],
    ["tokens", "Tokens", tokenTable(report)],
    ["errors", "Errors", errors.length === 0 ? '<p class="quiet">There were none.</p>' : errorTable(errors)],
    ["slowest", "Slowest rows", slowest.length === 0 ? "" : rowTable("Slowest rows", slowest, byIndex)],
    ["dearest", "Dearest rows", dearest.length === 0 ? "" : rowTable("Dearest rows", dearest, byIndex)],
    [
      "rows",
      "Rows",
      `<div id="rows">${searchTools(errors)}<div class="sheet" role="region" aria-label="Rows" tabindex="0"><table><thead><tr>${rowColumns
        .map(([name, kind]) => `<th scope="col" class="${kind}">${name}</th>`)
        .join(
          ""
        )}</tr></thead><tbody></tbody></table></div><div class="pager"><span id="count" role="status"></span><button type="button" id="back">Back</button><button type="button" id="next">Next</button></div></div>`
    ]
  ]
  const shown = sections.filter(([, , content]) => content !== "")
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="floodgate">
<meta name="referrer" content="no-referrer">
<title>${escape(title)} – floodgate report</title>
<style>${Page.style}</style>
</head>
<body>
<a class="skip" href="#main">To the figures</a>
<header class="top wide">
<div class="title"><div><h1>${escape(title)}</h1>
<p class="about">${stateOf(report)} A run of floodgate, as of <time datetime="${made}">${made.slice(0, 16).replace("T", " ")} UTC</time></p></div>
<button type="button" id="theme" hidden>Theme: auto</button></div>
<nav aria-label="Sections">${shown.map(([id, name]) => `<a href="#${id}-title">${name}</a>`).join("")}</nav>
</header>
<main id="main" class="wide">
<dl class="figures">${figures(report)}</dl>
${notes.length === 0 ? "" : `<ul class="notes">${notes.map((note) => `<li>${escape(note)}</li>`).join("")}</ul>`}
<noscript><p class="notes">Charts and the search of rows need JavaScript.</p></noscript>
${shown.map(([id, name, content]) => section(id, name, content)).join("\n")}
</main>
<footer class="wide">Costs are reckoned with list prices and are no invoice. The page holds all it shows and asks nothing of the network.</footer>
<script type="application/json" id="data">${embed({ timeline, limits, requestLatency, callLatency, rows })}</script>
<script>${Page.script}</script>
</body>
</html>
`
}
