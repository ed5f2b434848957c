/** The rows of the output: searched, sorted, and a page of them shown. */
import type { Row } from "../internal/reportData.js"
import { find, make } from "./dom.js"
import { latency, whole } from "./format.js"
import { compare, type Order, sortButton } from "./tables.js"

const pageSize = 50

type Value = (row: Row) => string | number | undefined

/** What the columns are sorted by, in their order in the page. */
const values: ReadonlyArray<Value> = [
  ({ index }) => index,
  ({ error }) => error ?? "",
  ({ model }) => model,
  ({ prompt, text }) => prompt ?? text,
  ({ latencyMs }) => latencyMs,
  ({ attempts }) => attempts,
  ({ inputTokens, outputTokens }) =>
    inputTokens === undefined && outputTokens === undefined
      ? undefined
      : (inputTokens ?? 0) + (outputTokens ?? 0),
  ({ cost }) => cost?.dollars
]

/** All of a row that is looked through, made when it is first searched. */
const searched = new WeakMap<Row, string>()

const textOf = (row: Row): string => {
  const known = searched.get(row)
  if (known !== undefined) return known
  const { endpoint, error, finish, id, index, metadata, model, prompt, status, text } = row
  const all = [`#${index}`, id, error, status, model, endpoint, finish, prompt, text, metadata]
  const joined = all
    .filter((part) => part !== undefined)
    .join("\n")
    .toLowerCase()
  searched.set(row, joined)
  return joined
}

const outcomeOf = ({ cached, error }: Row): string =>
  error !== undefined ? "failed" : cached ? "cached" : "answered"

const number = (text: string): HTMLTableCellElement => make("td", { class: "number" }, text)

const part = (name: string, text: string | number | undefined): ReadonlyArray<Node> =>
  text === undefined || text === "" ? [] : [make("dt", {}, name), make("dd", {}, String(text))]

const detailsOf = (row: Row): HTMLTableRowElement => {
  const list = make(
    "dl",
    {},
    ...part("Id", row.id),
    ...part("Prompt", row.prompt),
    ...part(row.error === undefined ? "Answer" : "Error", row.text),
    ...part("Status", row.status),
    ...part("Finish", row.finish),
    ...part("Endpoint", row.endpoint),
    ...part("Input tokens", row.inputTokens),
    ...part("Output tokens", row.outputTokens),
    ...part("Metadata", row.metadata)
  )
  return make("tr", { class: "details" }, make("td", { colspan: String(values.length) }, list))
}

const elementsOf = (row: Row): HTMLTableRowElement => {
  const open = make(
    "button",
    { type: "button", class: "open", "aria-expanded": "false", title: "Show all that is known of this row" },
    `#${row.index}`
  )
  const { inputTokens, outputTokens } = row
  const tokens =
    inputTokens === undefined && outputTokens === undefined
      ? "–"
      : whole((inputTokens ?? 0) + (outputTokens ?? 0))
  const element = make(
    "tr",
    {},
    make("td", {}, open),
    make("td", {}, make("span", { class: `chip ${outcomeOf(row)}` }, row.error ?? outcomeOf(row))),
    make("td", { class: "name" }, row.model ?? "–"),
    make(
      "td",
      { class: "text" },
      row.prompt === undefined ? "" : make("div", { class: "clamp prompt" }, row.prompt),
      make("div", { class: "clamp" }, row.text)
    ),
    number(row.attempts === 0 ? "–" : latency(row.latencyMs)),
    number(whole(row.attempts)),
    number(tokens),
    number(row.cost?.text ?? "–")
  )
  open.addEventListener("click", () => {
    const isOpen = open.getAttribute("aria-expanded") === "true"
    open.setAttribute("aria-expanded", String(!isOpen))
    if (isOpen) element.nextElementSibling?.remove()
    else element.after(detailsOf(row))
  })
  return element
}

export const showRows = (rows: ReadonlyArray<Row>): void => {
  const table = find("#rows table", HTMLTableElement)
  const search = find("#search", HTMLInputElement)
  const outcome = find("#outcome", HTMLSelectElement)
  const model = find("#model", HTMLSelectElement)
  const count = find("#count", HTMLElement)
  const back = find("#back", HTMLButtonElement)
  const next = find("#next", HTMLButtonElement)
  const body = table.tBodies[0] ?? table.createTBody()
  let sortedBy: { readonly value: Value; readonly order: Order } | undefined
  let found = rows
  let page = 0

  for (const name of Array.from(new Set(rows.map((row) => row.model ?? ""))).sort()) {
    if (name !== "") model.append(make("option", { value: name }, name))
  }

  const show = () => {
    const start = page * pageSize
    const shown = found.slice(start, start + pageSize)
    body.replaceChildren(...shown.map(elementsOf))
    const range =
      found.length > pageSize ? `, ${whole(start + 1)} to ${whole(start + shown.length)} shown` : ""
    count.textContent = `${whole(found.length)} of ${whole(rows.length)} rows${range}`
    back.disabled = page === 0
    next.disabled = start + pageSize >= found.length
  }

  const look = () => {
    const words = search.value
      .toLowerCase()
      .split(/\s+/)
      .filter((word) => word !== "")
    found = rows.filter(
      (row) =>
        (outcome.value === "" || outcomeOf(row) === outcome.value || row.error === outcome.value) &&
        (model.value === "" || row.model === model.value) &&
        words.every((word) => textOf(row).includes(word))
    )
    if (sortedBy !== undefined) {
      const { order, value } = sortedBy
      found = [...found].sort((a, b) => compare(value(a), value(b), order))
    }
    page = 0
    show()
  }

  for (const [column, head] of Array.from(table.tHead?.rows[0]?.cells ?? []).entries()) {
    const value = values[column]
    if (value === undefined) continue
    sortButton(head, (order) => {
      sortedBy = { value, order }
      look()
    })
  }
  search.addEventListener("input", look)
  outcome.addEventListener("change", look)
  model.addEventListener("change", look)
  const turn = (by: number) => () => {
    page += by
    show()
    table.scrollIntoView({ block: "nearest" })
  }
  back.addEventListener("click", turn(-1))
  next.addEventListener("click", turn(1))
  look()
}
