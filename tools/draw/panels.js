// Runs in the browser, bundled by tools/draw-dashboards.ts: Grafana's own components, given dashboards and answers.
import { createTheme, dateTime, FieldType, getDisplayProcessor, toDataFrame } from '@grafana/data'
import { BarGauge, BigValue, PanelChrome, ThemeContext, TimeSeries } from '@grafana/ui'
import { createElement as h } from 'react'
import { createRoot } from 'react-dom/client'

const { dashboard, answers, from, to, mode } = window.drawn
dashboard.panels
  .filter(({ type }) => type !== 'row')
  .forEach((panel, i) => {
    panel.id = i
  })
const theme = createTheme({ colors: { mode } })
const columns = 24
const columnPx = 52
const rowPx = 34
const gapPx = 8
const chrome = { height: 40, width: 18 }

const fieldConfig = ({ fieldConfig: { defaults } }) => ({
  ...defaults,
  color: { mode: 'palette-classic' },
  custom: { drawStyle: 'line', lineWidth: 2, spanNulls: false, showPoints: 'never', ...defaults.custom },
})

function frames(panel) {
  let index = 0
  return (answers[panel.id] ?? []).map(({ name, values }) => {
    const frame = toDataFrame({
      fields: [
        { name: 'Time', type: FieldType.time, values: values.map(([seconds]) => seconds * 1000), config: {} },
        {
          name,
          type: FieldType.number,
          values: values.map(([, value]) => (Number.isFinite(Number(value)) ? Number(value) : null)),
          config: { ...fieldConfig(panel), displayNameFromDS: name },
        },
      ],
    })
    for (const field of frame.fields) field.display = getDisplayProcessor({ field, theme })
    frame.fields[1].state = { seriesIndex: index++, displayName: name }
    return frame
  })
}

const inside = {
  timeseries: (panel, width, height) =>
    h(TimeSeries, {
      frames: frames(panel),
      timeRange: { from: dateTime(from * 1000), to: dateTime(to * 1000), raw: { from: '', to: '' } },
      timeZone: 'utc',
      legend: { displayMode: 'list', placement: 'bottom', showLegend: true, calcs: [] },
      width,
      height,
    }),
  stat(panel, width, height) {
    const field = {
      type: FieldType.number,
      config: { ...panel.fieldConfig.defaults, color: { mode: 'thresholds' } },
    }
    const display = getDisplayProcessor({ field, theme })
    const all = answers[panel.id] ?? []
    if (all.length === 0) return h('div', { className: 'nothing' }, panel.fieldConfig.defaults.noValue)
    return h(
      'div',
      { style: { display: 'flex' } },
      all.map(({ name, values }) =>
        h(BigValue, {
          key: name,
          value: { ...display(Number(values.at(-1)[1])), title: all.length > 1 ? name : undefined },
          width: width / all.length,
          height,
          theme,
          colorMode: 'value',
          graphMode: 'none',
        }),
      ),
    )
  },
  // Not in @grafana/ui: drawn here, in the panel's own words and colours.
  'state-timeline': (panel, width, height) =>
    h(
      'div',
      {},
      (answers[panel.id] ?? []).map(({ name, values }) => {
        const options = panel.fieldConfig.defaults.mappings[0].options
        const step = (to - from) / Math.max(1, values.length)
        return h(
          'svg',
          {
            key: name,
            width,
            height: Math.min(36, height / 3),
            style: { display: 'block', marginBottom: 4 },
          },
          values.map(([seconds, value]) =>
            h('rect', {
              key: seconds,
              x: 150 + ((seconds - from) / (to - from)) * (width - 150),
              width: Math.max(1, (step / (to - from)) * (width - 150) + 1),
              height: 30,
              fill: options[value]?.color,
            }),
          ),
          h('text', { x: 0, y: 20, fill: theme.colors.text.secondary, fontSize: 12 }, name),
        )
      }),
    ),
  bargauge(panel, width, height) {
    const field = {
      type: FieldType.number,
      config: { ...panel.fieldConfig.defaults, color: { mode: 'thresholds' } },
    }
    const display = getDisplayProcessor({ field, theme })
    const last = ({ values }) => Number(values.at(-1)[1])
    const all = (answers[panel.id] ?? []).toSorted((a, b) => last(b) - last(a))
    // All get the widths of the longest, because otherwise each bar would have another scale.
    const alignmentFactors = {
      title: all.map(({ name }) => name).sort((a, b) => b.length - a.length)[0],
      text: '1000%',
    }
    return all.map(each =>
      h(BarGauge, {
        key: each.name,
        value: { ...display(last(each)), title: each.name },
        alignmentFactors,
        display,
        field: { ...field.config, min: 0, max: last(all[0]) },
        width,
        height: height / all.length - gapPx,
        theme,
        orientation: 'horizontal',
        displayMode: 'basic',
        itemSpacing: gapPx,
        showUnfilled: true,
        text: { titleSize: 14, valueSize: 16 },
      }),
    )
  },
}

const panels = dashboard.panels.map(panel => {
  const { x, y, w } = panel.gridPos
  const [width, height] = [w * columnPx - gapPx, panel.gridPos.h * rowPx - gapPx]
  const style = { position: 'absolute', left: x * columnPx, top: y * rowPx, width, height }
  if (panel.type === 'row') return h('h2', { key: panel.title, style }, panel.title)
  return h(
    'div',
    { key: panel.id, style },
    h(PanelChrome, { title: panel.title, width, height }, (w, hgt) =>
      (inside[panel.type] ?? (() => null))(panel, w ?? width - chrome.width, hgt ?? height - chrome.height),
    ),
  )
})

const rows = Math.max(...dashboard.panels.map(({ gridPos }) => gridPos.y + gridPos.h))
document.body.style.background = theme.colors.background.canvas
document.body.style.color = theme.colors.text.primary
createRoot(document.getElementById('root')).render(
  h(
    ThemeContext.Provider,
    { value: theme },
    h('div', { style: { position: 'relative', width: columns * columnPx, height: rows * rowPx } }, panels),
  ),
)
