import { duration, language, size, speak } from '@tintype/lib/page/browser/language.ts'
import type { Problem } from './api.ts'

const clock = new Intl.DateTimeFormat(language, { hour: 'numeric', minute: '2-digit' })
const day = new Intl.DateTimeFormat(language, { month: 'short', day: 'numeric' })
/** A time, with its date unless it is today. */
const time = (at: Date): string =>
  at.toDateString() === new Date().toDateString() ? clock.format(at) : `${day.format(at)} ${clock.format(at)}`

const types = 'JPEG HEIC PNG WebP GIF AVIF TIFF'
const whole = (seconds: number): number => Math.max(0, Math.floor(seconds))
const ahead = (seconds: number): number => Math.max(1, Math.ceil(seconds))

const en = {
  dropTitle: 'Drop photos here, paste them, or choose them.',
  choose: 'Choose photos',
  limits: (bytes: number, seconds: number) =>
    `${types} · up to ${size(bytes)} · ready within ${seconds === 60 ? 'a minute' : duration(seconds)}`,
  photos: 'Your photos',
  empty: 'No photos yet. What you send is shown here, and you can watch its minute run.',
  older: 'Show older photos',
  keeping: (days: number) =>
    `Only this browser can see the photos it sent.${days > 0 ? ` Photos are removed after ${days === 1 ? 'a day' : `${days} days`}.` : ''}`,
  camera: 'Take a photo',
  offline: 'No connection. Nothing is lost: what is under way goes on when the connection is back.',
  onlineLead: 'Online: photos that you send now are made into thumbnails.',
  downLead: 'Offline at the moment. Photos that cannot be sent now are tried again.',
  notMeasured: 'You can send photos. Whether the service keeps its promise has not been measured yet.',
  stale: 'You can send photos. Whether the service keeps its promise is not known at the moment.',
  budgetMeans: (left: number, of: number, at: Date) =>
    `The service promises to be offline for at most ${of} minutes in any 24 hours; ${left} of them are left. A synthetic user tries it all the time, last at ${time(at)}.`,
  statusPage: 'The last 24 hours, minute by minute',
  overall: (ready: number, of: number, failed: number) =>
    `${ready} of ${of} photos are ready${failed > 0 ? `; ${failed} could not be taken` : ''}`,
  online: 'online',
  down: 'offline',
  budget: (left: number, of: number) => `${left} of ${of} minutes left today`,
  unknownSince: (at: Date) => `not known since ${time(at)}`,
  photoOf: (at: Date) => `Photo of ${time(at)}`,
  waitingToSend: 'next to be sent',
  sending: (share: number) => `uploading ${Math.floor(share * 100)} %`,
  storing: 'uploaded; being stored',
  busy: (seconds: number) => `Busy right now; trying again in ${ahead(seconds)} s`,
  unreachable: (seconds: number) => `Could not be sent; trying again in ${ahead(seconds)} s`,
  givenUp: 'Could not be sent after many tries.',
  interrupted: 'The upload was interrupted. Choose this photo again to send it.',
  queued: (seconds: number, of: number) => `waiting · ${whole(seconds)} s of ${of}`,
  converting: (seconds: number, of: number) => `converting · ${whole(seconds)} s of ${of}`,
  late: (seconds: number) => `${whole(seconds)} s: later than promised; still working`,
  ready: (seconds: number) => `ready in ${duration(seconds)}`,
  readyLate: (seconds: number) => `ready after ${duration(seconds)}: later than promised`,
  readyUnknown: 'ready',
  damaged: 'The file is damaged: this is what could be read of it.',
  tooLarge: (bytes: number, most: number) =>
    `This photo has ${size(bytes)}; at most ${size(most)} can be taken. Export it smaller, then try again.`,
  folder: (name: string, photos: number, others: number) =>
    `${photos} ${photos === 1 ? 'photo' : 'photos'} of the folder ${name}${others > 0 ? `; ${others} other ${others === 1 ? 'file was' : 'files were'} left out` : ''}.`,
  cancel: 'Cancel',
  remove: 'Remove',
  again: 'Try again',
  chooseAgain: 'Choose again',
  download: 'Download',
  original: 'Original',
  delete: 'Delete',
  reallyDelete: 'Really delete?',
  notDeleted: 'It could not be deleted; try again.',
  deleted: (name: string) => `${name} deleted`,
  label: (action: string, name: string) => `${action}: ${name}`,
  openJourney: (name: string) => `${name}: show where its time went`,
  journey: 'Where its time went',
  receive: 'receive',
  wait: 'wait',
  convert: 'convert',
  store: 'store',
  deliver: 'deliver',
  most: {
    receive: 'receiving',
    wait: 'waiting',
    convert: 'converting',
    store: 'storing',
    deliver: 'delivering',
  },
  lead: (seconds: number, most: string) => `${duration(seconds)} in all, the longest part of it ${most}.`,
  experience: (seconds: number) => `${duration(seconds)} from your click to the picture.`,
  notSeen: 'not seen here',
  story: 'Its story in the logs',
  trace: 'Trace',
  photo: 'Photo',
  /** The service writes its details in English. */
  problem: ({ detail }: Problem) => detail,
  reason: ({ detail }: { code: string; detail: string }) => detail,
}

/** By problem type and failure code. For others the service's own text is shown. */
const koProblems: Record<string, string> = {
  svg: 'SVG 그림은 사진이 아닙니다. PNG로 내보낸 뒤 다시 시도해 주세요.',
  'unsupported-type': `지원하지 않는 파일입니다. ${types} 사진을 보내 주세요.`,
  'too-large': '사진이 너무 큽니다. 더 작게 만든 뒤 다시 시도해 주세요.',
  'too-many-pixels': '사진의 픽셀이 너무 많습니다. 더 작게 만든 뒤 다시 시도해 주세요.',
  'too-slow': '전송이 너무 느려서 중단되었습니다. 연결을 확인하고 다시 시도해 주세요.',
  deleted: '이 사진은 그 사이에 삭제되었습니다.',
  empty: '빈 파일입니다. 다른 사진을 선택해 주세요.',
}
const koReasons: Record<string, string> = {
  undecodable: '사진을 읽을 수 없습니다. 파일이 손상된 것 같습니다. 원본을 다시 내보내어 보내 주세요.',
  'over-limit': '사진의 픽셀이 너무 많습니다. 더 작게 내보낸 뒤 다시 시도해 주세요.',
  timeout: '변환이 너무 오래 걸렸습니다. 저희 잘못입니다. 다시 보내 주세요.',
  memory: '변환에 메모리가 부족했습니다. 저희 잘못입니다. 더 작은 사진으로 다시 보내 주세요.',
  crash: '변환 중에 오류가 났습니다. 저희 잘못입니다. 다시 보내 주세요.',
  storage: '사진을 저장하지 못했습니다. 저희 잘못입니다. 다시 보내 주세요.',
}

const ko: typeof en = {
  dropTitle: '사진을 여기에 놓거나, 붙여넣거나, 선택하세요.',
  choose: '사진 선택',
  limits: (bytes, seconds) =>
    `${types} · 최대 ${size(bytes)} · ${seconds === 60 ? '1분' : duration(seconds)} 안에 완성`,
  photos: '내 사진',
  empty: '아직 사진이 없습니다. 보낸 사진이 여기에 나타나고, 1분이 흐르는 것을 볼 수 있습니다.',
  older: '이전 사진 보기',
  keeping: (days: number) =>
    `보낸 사진은 이 브라우저에서만 볼 수 있습니다.${days > 0 ? ` 사진은 ${days}일 후에 삭제됩니다.` : ''}`,
  camera: '사진 찍기',
  offline: '연결이 끊겼습니다. 잃는 것은 없습니다. 연결되면 이어서 진행합니다.',
  onlineLead: '온라인: 지금 보내는 사진은 바로 섬네일로 만들어집니다.',
  downLead: '지금은 오프라인입니다. 보내지 못한 사진은 다시 시도합니다.',
  notMeasured: '사진을 보낼 수 있습니다. 약속을 지키는지는 아직 측정되지 않았습니다.',
  stale: '사진을 보낼 수 있습니다. 약속을 지키는지는 지금 알 수 없습니다.',
  budgetMeans: (left, of, at) =>
    `24시간 중 오프라인을 최대 ${of}분까지로 약속하며, ${left}분이 남았습니다. 가상 사용자가 계속 확인하고 있으며 마지막 확인은 ${time(at)}입니다.`,
  statusPage: '지난 24시간을 1분 단위로 보기',
  overall: (ready, of, failed) =>
    `사진 ${of}장 중 ${ready}장 완성${failed > 0 ? `, ${failed}장은 받을 수 없음` : ''}`,
  online: '온라인',
  down: '오프라인',
  budget: (left, of) => `오늘 ${of}분 중 ${left}분 남음`,
  unknownSince: at => `${time(at)} 이후 알 수 없음`,
  photoOf: at => `${time(at)}에 보낸 사진`,
  waitingToSend: '보내기 대기 중',
  sending: share => `보내는 중 ${Math.floor(share * 100)}%`,
  storing: '전송됨, 저장하는 중',
  busy: seconds => `지금은 붐빕니다. ${ahead(seconds)}초 뒤에 다시 시도합니다`,
  unreachable: seconds => `보내지 못했습니다. ${ahead(seconds)}초 뒤에 다시 시도합니다`,
  givenUp: '여러 번 시도했지만 보내지 못했습니다.',
  interrupted: '전송이 중단되었습니다. 보내려면 이 사진을 다시 선택하세요.',
  queued: (seconds, of) => `대기 · ${of}초 중 ${whole(seconds)}초`,
  converting: (seconds, of) => `변환 · ${of}초 중 ${whole(seconds)}초`,
  late: seconds => `${whole(seconds)}초: 약속보다 늦었습니다. 계속 작업 중입니다`,
  ready: seconds => `${duration(seconds)} 만에 완성`,
  readyLate: seconds => `${duration(seconds)} 걸림: 약속보다 늦었습니다`,
  readyUnknown: '완성',
  damaged: '파일이 손상되어 읽을 수 있는 데까지만 보입니다.',
  tooLarge: (bytes, most) =>
    `이 사진은 ${size(bytes)}입니다. 최대 ${size(most)}까지 받을 수 있습니다. 더 작게 내보낸 뒤 다시 시도해 주세요.`,
  folder: (name, photos, others) =>
    `${name} 폴더의 사진 ${photos}장${others > 0 ? `, 다른 파일 ${others}개는 제외` : ''}.`,
  cancel: '취소',
  remove: '지우기',
  again: '다시 시도',
  chooseAgain: '다시 선택',
  download: '내려받기',
  original: '원본',
  delete: '삭제',
  reallyDelete: '정말 삭제할까요?',
  notDeleted: '삭제하지 못했습니다. 다시 시도해 주세요.',
  deleted: name => `${name} 삭제됨`,
  label: (action, name) => `${action}: ${name}`,
  openJourney: name => `${name}: 시간이 어디에 쓰였는지 보기`,
  journey: '시간이 쓰인 곳',
  receive: '받기',
  wait: '대기',
  convert: '변환',
  store: '저장',
  deliver: '전달',
  most: { receive: '받기', wait: '대기', convert: '변환', store: '저장', deliver: '전달' },
  lead: (seconds, most) => `${duration(seconds)} 중 가장 오래 걸린 단계: ${most}`,
  experience: seconds => `클릭부터 사진까지 ${duration(seconds)}.`,
  notSeen: '여기서는 보지 못함',
  story: '로그에서 전체 과정 보기',
  trace: '추적',
  photo: '사진',
  problem: ({ type, detail }) => koProblems[type.split('/').at(-1) ?? ''] ?? detail,
  reason: ({ code, detail }) => koReasons[code] ?? detail,
}

export const words = speak({ en, ko })
