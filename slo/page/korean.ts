import type { english } from './english.ts'
import { count, percent, span, wholePercent } from './format.ts'

function windowOf(minutes: number): string {
  const [many, unit] = span(minutes)
  return `${count(many)}${unit === 'day' ? '일' : '시간'}`
}

export const korean: typeof english = {
  promises: '약속',
  status: '상태',
  day: '하루를 1분 단위로',
  zoom: '보이는 시간',
  hours: (n: number) => `${n}시간`,
  alerts: '알림',
  stages: '시간이 쓰이는 곳',
  stagesHelp:
    '지난 세 시간 동안의 단계입니다. 진한 선은 절반, 가운데 선은 95 %, 옅은 선은 99 %의 작업이 이보다 빨랐음을 뜻합니다. 백분율은 전체 시간에서 차지한 몫입니다.',
  verdict: '느린가요, 왜 그런가요?',
  notAsked: '아직 묻지 않았습니다. 예산이 타기 시작하면 스스로 살펴봅니다.',
  look: '지금 살펴보기',
  lookAgain: '다시 살펴보기',
  looking: '살펴보는 중 …',
  healthy: '어느 단계도 전보다 오래 걸리지 않습니다.',
  healthyBut: (cause: string) => `느린 단계는 없지만: ${cause}.`,
  noVerdict: '알 수 없습니다. 판단할 자료가 모자랍니다.',
  slowIn: '느린 단계:',
  becauseOf: '원인:',
  unexplained: '어느 지표로도 설명되지 않음',
  sure: (confidence: number) => `확신 ${wholePercent(confidence)}`,
  seenAt: (time: string) => `${time}에 봄`,
  slowSince: (time: string) => `${time}부터`,
  lostIn: (stage: string, share: number) => `시간이 늘어난 곳: ${stage} (${wholePercent(share)})`,
  also: (stage: string, share: number) => `함께 느려짐: ${stage}, 늘어난 시간의 ${wholePercent(share)}`,
  toDo: '먼저 할 일',
  stageColumns: ['단계', '전', '지금', '늘어난 몫'],
  evidence: '근거',
  evidenceColumns: ['원인', '전', '지금', '설명하는 몫', '지표'],
  ruledOut: '아닌 것',
  notSlower: (stages: string) => `평소와 같음: ${stages}`,
  explainsLittle: (causes: string) => `설명하는 몫이 적음: ${causes}`,
  lackingData: '자료가 없는 지표',
  examples: '살펴볼 예',
  raise: (stage: string) => `${stage} 기록을 10분 동안 자세히`,
  raised: (stage: string, time: string) => `${time}까지 ${stage} 단계를 자세히 기록합니다.`,
  raiseThere: '더 자세히 기록하려면 서비스가 도는 기계에서:',
  note: '장애 기록',
  planned: '예정된 중단',
  whatIf: '만약에',
  whatIfLabel: '한 줄로 쓴 장애',
  whatIfButton: '언제 알게 될까요?',
  whatIfNever: '울리지 않음',
  whatIfAfter: (n: number) => `${n}분 뒤에 울림`,
  whatIfClears: (n: number) => `${n}분 뒤에 끝남`,
  whatIfOutage: (n: number) => `장애: ${n}분`,
  fitsMinutes: '분',
  fitsAt: '시각(UTC)',
  fitsButton: '들어갈까요?',
  fitsYes: (left: number) => `예, 예산 ${count(left)}분이 남습니다.`,
  fitsNo: (over: number, earliest: string | null) =>
    `아니요, ${count(Math.ceil(over))}분이 넘칩니다.${earliest ? ` ${earliest}부터는 들어갑니다.` : ''}`,
  fitsUnclear: '시각은 “tomorrow 02:00”이나 2026-11-23T02:00Z처럼 씁니다.',
  whatIfGone: (share: number) => `그때까지 예산의 ${percent(share)}`,
  utc: '모든 시각은 UTC입니다.',
  keptFor: (minutes: number, traces: number) =>
    `분 단위 기록은 ${minutes ? `${minutes}일 동안` : '영구히'}, 추적은 ${traces ? `${traces}일 동안` : '영구히'} 보관합니다.`,
  online: '온라인',
  offline: '오프라인',
  unknown: '알 수 없음',
  noData: '자료 없음',
  plannedCell: '예정된 중단',
  before: '측정 전',
  onlineCell: '온라인',
  keptCell: '모두 지킴',
  brokenCell: '일부 어김',
  waiting: (time: string) => `측정을 시작했습니다. 첫 1분이 끝나는 ${time}에 숫자가 나옵니다.`,
  stale: (time: string) => `${time}부터 알 수 없습니다. 그 뒤로 측정값을 읽지 못했습니다.`,
  away: 'slo가 응답하지 않습니다. 보이는 것은 그 전의 것입니다.',
  allKept: (n: number) =>
    n === 1
      ? '약속이 지켜지고 있습니다.'
      : n === 2
        ? '두 약속 모두 지켜지고 있습니다.'
        : `약속 ${n}개 모두 지켜지고 있습니다.`,
  burning: (names: string) => `지금 예산이 타고 있습니다: ${names}.`,
  broken: (names: string) => `어긴 약속: ${names}.`,
  leadStatus: (online: boolean, bad: number, budget: number, minutes: number) =>
    `${online ? '온라인' : '오프라인'}입니다. 지난 ${windowOf(minutes)} 동안 허용된 ${count(budget)}분 중 ${count(bad)}분 오프라인`,
  leadEvents: (name: string, ratio: number, all: number, unit: string) =>
    `${name}: ${unit} ${count(all)}건 중 ${percent(ratio)}`,
  leadNoEvents: (name: string) => `${name}: 셀 것이 없음`,
  leftMinutes: '분의 예산이 남음',
  leftEvents: (_unit: string) => '건까지 더 어길 수 있음',
  of: (budget: number) => `전체 ${count(budget)}`,
  gone: (time: string) => `지난 한 시간의 속도라면 ${time}에 다 쓰입니다`,
  usedUp: '다 쓰임',
  ratio: (ratio: number, target: number) => `${percent(ratio)}, 목표 ${percent(target)} 이상`,
  minutesCounted: (good: number, bad: number, unknown: number) =>
    `온라인 ${count(good)}분, 오프라인 ${count(bad)}분${unknown > 0 ? `(그중 ${count(unknown)}분은 자료 없음)` : ''}`,
  eventsCounted: (good: number, bad: number, unit: string) =>
    `${unit}: 지킴 ${count(good)}건, 어김 ${count(bad)}건`,
  nothingCounted: '아직 셀 것이 없음',
  burn: (burn: string, factor: string) => `${burn} / ${factor}`,
  burnHelp: (name: string, long: number, short: number, factor: string) =>
    `${name}: 지난 ${long}분과 ${short}분이 모두 허용보다 ${factor}배 이상 빠르게 예산을 쓰면 울립니다.`,
  fires: '울림',
  noAlerts: '울린 알림이 없습니다.',
  alertColumns: ['약속', '알림', '시작', '끝', '쓰인 예산'],
  still: '계속 울림',
  noStages: '지난 세 시간 동안 처리된 것이 없습니다.',
  share: (value: number) => `시간의 ${wholePercent(value)}`,
  plannedColumns: ['부터', '까지', '이유'],
  noPlanned: (program: string) => `예정된 것이 없습니다. 입력 방법은 “${program} budget --help”에 있습니다.`,
  incidents: '있었던 일',
  noIncidents: '지난 24시간 동안 어긴 것이 없었습니다.',
  stateColumns: ['약속', '상태', '센 것', '남은 예산'],
  states: { kept: '지킴', late: '예산이 타는 중', broken: '어김', none: '셀 것이 없음' },
  incident: (from: string, to: string, minutes: number, what: string) =>
    `${from}부터 ${to}까지 ${minutes}분: ${what}`,
  since: (from: string, minutes: number, what: string) => `${from}부터 ${minutes}분째 ${what}`,
  table: '표로 보기',
  columnsDay: ['부터', '까지', '상태'],
}
