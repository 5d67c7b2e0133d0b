import { Type } from '@sinclair/typebox'

/** How many characters (code points) a name may have. */
export const MAX_NAME = 80

/** The rule of `normalName`, for errors: they must not quote the name. */
export const NAME_RULE = `must be a name of 1 to ${MAX_NAME} visible characters, without control, format or separator characters and without ://`

/** A name in a request body, which `normalName` then checks. A valid name is never longer than this. */
export const NameText = (description: string) =>
  Type.String({ minLength: 1, maxLength: 1024, description: `${description}; it ${NAME_RULE}` })

/** Characters that are invisible, or that change how others are displayed. */
const hidden = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u

/** Variation selectors, which choose how the emoji before them looks. */
const variation = /(?<=[\p{Emoji}\p{Emoji_Component}])[\ufe0e\ufe0f]/gu

/**
 * The rule for every name that others choose: of a client, a model, an agent, an API. Returns the name
 * with composed characters (NFC) and ordinary, single spaces; undefined for an invalid name.
 */
export function normalName(text: string): string | undefined {
  const name = text
    .normalize('NFC')
    .replace(/\p{Zs}+/gu, ' ')
    .replace(/^ | $/g, '')
  if (hidden.test(name.replace(variation, ''))) return undefined
  // No combining mark first: it would combine with the quotation mark before it.
  if (!/^[^\p{M}]/u.test(name) || !/[\p{L}\p{N}\p{P}\p{S}]/u.test(name)) return undefined
  if ([...name].length > MAX_NAME || name.normalize('NFKC').includes('://')) return undefined
  return name
}

/**
 * A name that is safe to show to a person or a model. A stored name from before the rule is changed so
 * that it can neither reverse the text around it nor end its quotation.
 */
export function shownName(name: string): string {
  const good = normalName(name)
  if (good !== undefined) return good
  const visible = name
    .normalize('NFC')
    .replace(new RegExp(hidden, 'gu'), '?')
    .replaceAll('://', ':?')
  const characters = [...visible.replace(/^(?=\p{M}|$)/u, '?')]
  return characters.length > MAX_NAME
    ? `${characters.slice(0, MAX_NAME - 1).join('')}…`
    : characters.join('')
}

/** A name for pages, mails and lists: in quotation marks, which it cannot contain. */
export function quoteName(name: string): string {
  return `“${shownName(name).replace(/["\u201c-\u201f]/gu, "'")}”`
}
