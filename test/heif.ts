/**
 * HEIC files put together box by box (ISO/IEC 23008-12) from tiles of 128 × 64 pixels in one colour each, which
 * pillow-heif 1.5 encoded once: what a phone's photo has (grid, turn, profile, burst), in some hundred bytes.
 */

/** The samples of each tile, and their kind. */
const tiles = {
  red: ['8', 'AAAAICgBrwY4Wvz9N/jGT///rRH6H+mnEqvEJj7vJ1avN6mA'],
  green: ['8', 'AAAAHygBrwY4Wvz9N/FYH///KQx//9kfKq8QmPu8nVq83qY='],
  blue: ['8', 'AAAAICgBrwY4Wvz9N/sF7/kf5P13//pAKqvEJj7vJ1avN6mA'],
  white: ['8', 'AAAAFygBrwY4W4jl4r/sMD1VmsJC+TeoY0W4'],
  'red of 10 bits': ['10', 'AAAAICgBrwY4Wvz9N/jL7///rGz6H+m6KqvEJj7vJ1avN6mA'],
  grey: ['grey', 'AAAADSgBrgxwdxkRJPxYZrA='],
  'grey of AV1': ['grey AV1', 'EgAKCRgZf/7bAQ0GoDINE8MQwAAygAEATF7jeA=='],
  'red of AV1': ['AV1', 'EgAKCTgZf/7SAhoNIDIZEQEhpUAAeQAAl8mdVJYi7DGDZN5MVAeWBA=='],
} as const
export type Tile = keyof typeof tiles

/** The decoder's configuration for each kind: the body of its hvcC or av1C box. */
const configurations = {
  8: 'AQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQArQgEBA3AAAAMAkAAAAwAAAwAeoBAgQWW6kkprm4CGgwIAAAMAMgAAAwACEGIAAQAHRAHBcrAiQA==',
  10: 'AQQIAAAAnbgAAAAAHvAA/P36+gAADwNgAAEAF0ABDAH//wQIAAADAJ24AAADAAAeugJAYQABACpCAQEECAAAAwCduAAAAwAAHqAQIEE2W6kkprm4CGgwIAAAAwMgAAADACFiAAEAB0QBwXKwIkA=',
  grey: 'AQQIAAAAn/gAAAAAHvAA/Pz4+AAADwNgAAEAF0ABDAH//wQIAAADAJ/4AAADAAAeugJAYQABACdCAQEECAAAAwCf+AAAAwAAHsBAgQWW6kkprmwIAAADAMgAAAMACEBiAAEAB0QBwXKwIkA=',
  'grey AV1': 'gQAcAA==',
  AV1: 'gSACAA==',
} as const
const tileWidth = 128
const tileHeight = 64

export type HeicOptions = {
  brand?: string
  /** The tiles of the primary image, row by row; a single one makes no grid. */
  shown?: Tile[]
  columns?: number
  /** The part that is shown (clap); x and y: its centre, from the picture's centre. */
  crop?: { width: number; height: number; x: number; y: number }
  /** Counter-clockwise (irot). */
  quarterTurns?: number
  /** Left and right are exchanged after the turn (imir). */
  mirrored?: boolean
  /** Of the camera, as an EXIF block says it: a reader of HEIC ignores it. */
  exifOrientation?: number
  icc?: Buffer
  /** Code points of ITU-T H.273. `range`: 0 is limited, 0x80 full. */
  nclx?: { primaries: number; transfer: number; range?: number }
  /** An empty box whose size is written in 64 bits stands in front. */
  largeBox?: boolean
  /** Only the tiles have the colours, and not the grid. */
  coloursOfTiles?: boolean
  /** Opacity: the whole picture is half transparent, or each of its tiles. */
  transparent?: boolean | 'tiles'
  /** Separate pictures before the primary one, as in a burst. */
  before?: Tile[]
  /** The size that the file claims. */
  width?: number
  height?: number
  /** How many times each reference and each list of properties is written. */
  repeats?: number
}

const u8 = (...values: number[]) => Buffer.from(values)
const u16 = (...values: number[]) => Buffer.from(values.flatMap(value => [value >> 8, value & 255]))
const u32 = (...values: number[]) => Buffer.concat(values.map(value => u16(value >>> 16, value & 0xffff)))
const box = (type: string, ...content: (Buffer | string)[]): Buffer => {
  const body = Buffer.concat(
    content.map(each => (typeof each === 'string' ? Buffer.from(each, 'latin1') : each)),
  )
  return Buffer.concat([u32(body.length + 8), Buffer.from(type), body])
}

type Item = {
  id: number
  type: string
  data: Buffer
  properties: Buffer[]
  hidden?: boolean
  refers?: [string, number[]]
}

export function heic(options: HeicOptions = {}): Buffer {
  const { brand = 'heic', shown = ['red'], columns = shown.length > 1 ? 2 : 1, before = [] } = options
  const rows = Math.ceil(shown.length / columns)
  const items: Item[] = []
  const add = (item: Omit<Item, 'id'>): number => items.push({ id: items.length + 1, ...item })
  const picture = (tile: Tile, more: Partial<Item> = {}) => {
    const [kind, data] = tiles[tile]
    const [type, configuration] = kind.endsWith('AV1') ? ['av01', 'av1C'] : ['hvc1', 'hvcC']
    const properties = [
      size(tileWidth, tileHeight),
      box(configuration, Buffer.from(configurations[kind], 'base64')),
    ]
    return add({
      type,
      data: Buffer.from(data, 'base64'),
      ...more,
      properties: [...properties, ...(more.properties ?? [])],
    })
  }
  const colours = [
    ...(options.icc ? [box('colr', 'prof', options.icc)] : []),
    ...(options.nclx
      ? [
          box(
            'colr',
            'nclx',
            u16(options.nclx.primaries, options.nclx.transfer, 6),
            u8(options.nclx.range ?? 0x80),
          ),
        ]
      : []),
  ]
  const look = [
    ...(options.coloursOfTiles ? [] : colours),
    ...(options.crop ? [cropTo(options.crop)] : []),
    ...(options.quarterTurns ? [box('irot', u8(options.quarterTurns))] : []),
    ...(options.mirrored ? [box('imir', u8(1))] : []),
  ]
  for (const tile of before) picture(tile)
  const { width = columns * tileWidth, height = rows * tileHeight } = options
  const [alone] = shown
  let primary: number
  let parts: number[] = []
  if (shown.length === 1 && alone) primary = picture(alone, { properties: look })
  else {
    const properties = options.coloursOfTiles ? colours : []
    parts = shown.map(tile => picture(tile, { hidden: true, properties }))
    const grid = Buffer.concat([u8(0, 1, rows - 1, columns - 1), u32(width, height)])
    primary = add({
      type: 'grid',
      data: grid,
      properties: [size(width, height), ...look],
      refers: ['dimg', parts],
    })
  }
  if (options.transparent) {
    const role = box('auxC', u32(0), 'urn:mpeg:hevc:2015:auxid:1\0')
    const of = options.transparent === 'tiles' ? parts : [primary]
    picture('grey', { hidden: true, properties: [role], refers: ['auxl', of] })
  }
  if (options.exifOrientation) {
    const directory = Buffer.concat([u16(1, 0x112, 3), u32(1), u16(options.exifOrientation, 0), u32(0)])
    const data = Buffer.concat([u32(0), Buffer.from('MM\0*'), u32(8), directory])
    add({ type: 'Exif', data, properties: [], hidden: true, refers: ['cdsc', [primary]] })
  }
  return file(brand, primary, items, options)
}

const size = (width: number, height: number) => box('ispe', u32(0, width, height))
const cropTo = ({ width, height, x, y }: NonNullable<HeicOptions['crop']>) =>
  box('clap', u32(width, 1, height, 1, x, 1, y, 1))

function file(brand: string, primary: number, items: Item[], { largeBox, repeats = 1 }: HeicOptions): Buffer {
  const large = Buffer.concat([u32(1), Buffer.from('free'), u32(0, 16)])
  const start = Buffer.concat([box('ftyp', brand, u32(0), 'mif1heic'), ...(largeBox ? [large] : [])])
  // As phones do, items share equal properties.
  const properties: Buffer[] = []
  const numberOf = (property: Buffer): number => {
    const known = properties.findIndex(each => each.equals(property))
    return known < 0 ? properties.push(property) : known + 1
  }
  const repeated = (bytes: Buffer) => Buffer.alloc(bytes.length * repeats, bytes)
  const associations = items.map(({ id, properties }) =>
    repeated(Buffer.concat([u16(id), u8(properties.length, ...properties.map(numberOf))])),
  )
  const meta = (offset: number) => {
    let at = offset
    const places = stored.map(({ id, data }) => {
      at += data.length
      return Buffer.concat([u16(id, 0, 1), u32(at - data.length, data.length)])
    })
    return box(
      'meta',
      u32(0),
      box('hdlr', u32(0, 0), 'pict', Buffer.alloc(13)),
      box('pitm', u32(0), u16(primary)),
      box('iloc', u32(0), u8(0x44, 0), u16(items.length), ...places),
      box(
        'iinf',
        u32(0),
        u16(items.length),
        ...items.map(({ id, type, hidden }) =>
          box('infe', u8(2, 0, 0, hidden ? 1 : 0), u16(id, 0), `${type}\0`),
        ),
      ),
      box(
        'iref',
        u32(0),
        ...items.flatMap(({ id, refers }) =>
          refers ? [repeated(box(refers[0], u16(id, refers[1].length, ...refers[1])))] : [],
        ),
      ),
      box('iprp', box('ipco', ...properties), box('ipma', u32(0, items.length * repeats), ...associations)),
    )
  }
  // Hidden items come last, like the tiles in a phone's file: a truncated file lacks tiles.
  const stored = items.toSorted((one, two) => Number(one.hidden ?? false) - Number(two.hidden ?? false))
  const offset = start.length + meta(0).length + 8
  return Buffer.concat([start, meta(offset), box('mdat', ...stored.map(({ data }) => data))])
}

const arrangements: [unturned: Tile[], mirrored: Tile[]][] = [
  [
    ['red', 'green', 'blue', 'white'],
    ['green', 'red', 'white', 'blue'],
  ],
  [
    ['blue', 'red', 'white', 'green'],
    ['white', 'green', 'blue', 'red'],
  ],
  [
    ['white', 'blue', 'green', 'red'],
    ['blue', 'white', 'red', 'green'],
  ],
  [
    ['green', 'white', 'red', 'blue'],
    ['red', 'blue', 'green', 'white'],
  ],
]

/** A grid that, turned as it says, shows the quadrants of test/images.ts upright; a camera held in another way. */
export function quadrantHeic(quarterTurns = 0, mirrored = false, more: HeicOptions = {}): Buffer {
  const shown = arrangements[quarterTurns]?.[mirrored ? 1 : 0]
  return heic({ ...(shown && { shown }), quarterTurns, mirrored, ...more })
}
