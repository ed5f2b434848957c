/** Tables that are there already: a press on the name of a column sorts by it. */
import { make } from "./dom.js"

export type Order = "ascending" | "descending"

/** Texts by the alphabet, numbers by size; what is missing comes last. */
export const compare = (
  a: string | number | undefined,
  b: string | number | undefined,
  order: Order
): number => {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? 1 : -1
  const by = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b))
  return order === "ascending" ? by : -by
}

/** Puts a button into the head of a column. */
export const sortButton = (head: HTMLTableCellElement, onPress: (order: Order) => void): void => {
  const button = make("button", { type: "button", class: "sort" }, ...Array.from(head.childNodes))
  head.replaceChildren(button)
  button.addEventListener("click", () => {
    // numbers are mostly looked at from the largest down
    const first: Order = head.classList.contains("number") ? "descending" : "ascending"
    const now = head.getAttribute("aria-sort")
    const order: Order = now === null ? first : now === "ascending" ? "descending" : "ascending"
    for (const other of head.parentElement?.children ?? []) other.removeAttribute("aria-sort")
    head.setAttribute("aria-sort", order)
    onPress(order)
  })
}

const valueOf = (row: HTMLTableRowElement, column: number): string | number | undefined => {
  const cell = row.cells[column]
  const value = cell?.dataset.value
  if (value === "") return undefined
  return value === undefined ? (cell?.textContent ?? "") : Number(value)
}

export const makeSortable = (): void => {
  for (const table of document.querySelectorAll<HTMLTableElement>("table.sortable")) {
    const body = table.tBodies[0]
    const heads = table.tHead?.rows[0]?.cells
    if (body === undefined || heads === undefined || body.rows.length < 2) continue
    for (const [column, head] of Array.from(heads).entries()) {
      if (head.textContent === "") continue
      sortButton(head, (order) => {
        const rows = Array.from(body.rows)
        body.append(...rows.sort((a, b) => compare(valueOf(a, column), valueOf(b, column), order)))
      })
    }
  }
}
