/** The script of a report's page. */
import type { Report } from "../internal/reportData.js"
import { resize } from "./chart.js"
import { drawAll } from "./charts.js"
import { find } from "./dom.js"
import { showRows } from "./rows.js"
import { makeSortable } from "./tables.js"

/** What of a report the page is not made with already. */
type PageData = Pick<Report, "timeline" | "limits" | "requestLatency" | "callLatency" | "rows">

const data: PageData = JSON.parse(find("#data", HTMLScriptElement).text)

const themes = ["auto", "light", "dark"] as const
type Theme = (typeof themes)[number]
const themeKey = "floodgate-report-theme"

const root = document.documentElement
const button = find("#theme", HTMLButtonElement)

/** What was chosen before. A browser may refuse to keep anything for a file. */
const stored = (): Theme => {
  try {
    const found = localStorage.getItem(themeKey)
    return themes.find((theme) => theme === found) ?? "auto"
  } catch {
    return "auto"
  }
}

let theme = stored()

const paint = (as: Theme): void => {
  if (as === "auto") delete root.dataset.theme
  else root.dataset.theme = as
  drawAll(data)
}

const choose = (chosen: Theme): void => {
  theme = chosen
  button.textContent = `Theme: ${theme}`
  paint(theme)
}

button.addEventListener("click", () => {
  choose(themes[(themes.indexOf(theme) + 1) % themes.length] ?? "auto")
  try {
    localStorage.setItem(themeKey, theme)
  } catch {
    // it holds for this visit
  }
})

button.hidden = false
choose(theme)
makeSortable()
showRows(data.rows)

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => paint(theme))
// paper is white
addEventListener("beforeprint", () => paint("light"))
addEventListener("afterprint", () => paint(theme))

let resizing: number | undefined
addEventListener("resize", () => {
  clearTimeout(resizing)
  resizing = setTimeout(resize, 60)
})
