// A classic script in the head: modules run after the first paint, which would flash in the system's colours.
// The stylesheet's colours are light-dark() pairs, and it sets the colour scheme by this attribute.
document.documentElement.dataset.theme = /(?:^|; )tintype-theme=(\w+)/.exec(document.cookie)?.[1] ?? 'system'
