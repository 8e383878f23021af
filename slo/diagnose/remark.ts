import texts from '../page/remarks.json' with { type: 'json' }

/** A remark about a verdict. The pages translate it by its English form. */
export const remark = (name: keyof typeof texts, values: Readonly<Record<string, string | number>> = {}) =>
  texts[name].en.replace(/\{(\w+)\}/g, (_, key: string) => String(values[key]))
