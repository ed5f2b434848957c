/** Elements. Texts of others only ever become text nodes. */

type Attributes = Readonly<Record<string, string | undefined>>

export const make = <K extends keyof HTMLElementTagNameMap>(
  name: K,
  attributes: Attributes = {},
  ...children: ReadonlyArray<Node | string>
): HTMLElementTagNameMap[K] => {
  const element = document.createElement(name)
  for (const [key, value] of Object.entries(attributes))
    if (value !== undefined) element.setAttribute(key, value)
  element.append(...children)
  return element
}

/** An element that the page is made with. */
export const find = <E extends Element>(selector: string, type: new () => E): E => {
  const element = document.querySelector(selector)
  if (element instanceof type) return element
  throw new Error(`the page has no ${selector}`)
}
