import { Type } from '@sinclair/typebox'

/** How many characters (code points) a name may have. */
export const MAX_NAME = 80

/** What is wrong with a name that `normalName` refuses, without a word of it. */
export const NAME_RULE = `must be a name of 1 to ${MAX_NAME} visible characters, without control, format or separator characters and without ://`

/** Of a request; `normalName` then decides. What is longer in bytes is no name in any encoding. */
export const NameText = (description: string) =>
  Type.String({ minLength: 1, maxLength: 1024, description: `${description}; it ${NAME_RULE}` })

/** Characters that are not seen, or that change how others are seen. */
const hidden = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u

/** Choose how an emoji looks; they are seen with the character before. */
const variation = /(?<=[\p{Emoji}\p{Emoji_Component}])[\ufe0e\ufe0f]/gu

/**
 * The one rule for every name that others choose: of a client, a model, an agent, an API. Gives it
 * with composed characters (NFC) and ordinary, single spaces; undefined for what is not a name.
 */
export function normalName(text: string): string | undefined {
  const name = text
    .normalize('NFC')
    .replace(/\p{Zs}+/gu, ' ')
    .replace(/^ | $/g, '')
  if (hidden.test(name.replace(variation, ''))) return undefined
  // Not a mark first: it would join the quotation mark before it.
  if (!/^[^\p{M}]/u.test(name) || !/[\p{L}\p{N}\p{P}\p{S}]/u.test(name)) return undefined
  if ([...name].length > MAX_NAME || name.normalize('NFKC').includes('://')) return undefined
  return name
}

/**
 * A name that a person or a model may be shown. One that breaks the rule, as those that were stored
 * before it may, is changed so that it cannot turn or end the text around it.
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

/** A name as pages, mails and lists have it: in quotation marks, which it cannot end. */
export function quoteName(name: string): string {
  return `“${shownName(name).replace(/["\u201c-\u201f]/gu, "'")}”`
}
