import type { FC } from 'hono/jsx'

const CENTRE = 210
const GROUND = 262
/** Nested arches, outermost first; the innermost one is the door. */
const ARCHES = [128, 102, 78, 56]
const DOOR = 36
/** Rows of paving draw together towards the door as one looks along them. */
const ROWS = [275, 292, 316, 350, 400]
const JOINTS = [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5]
/** Half the width of the court at its far and near edge. */
const FAR = 150
const NEAR = 205

const arch = (radius: number) =>
  `M${CENTRE - radius} ${GROUND}V${GROUND - 108}A${radius} ${radius} 0 0 1 ${CENTRE + radius} ${GROUND - 108}V${GROUND}`

const widthAt = (y: number) => FAR + ((NEAR - FAR) * (y - GROUND)) / (400 - GROUND)

/** A door behind nested arches, and the paved court before it: what the name means. */
export const Forecourt: FC = () => (
  <svg class="forecourt" viewBox="0 0 420 410" aria-hidden="true" focusable="false">
    {ARCHES.map((radius) => (
      <path class="stone" d={arch(radius)} />
    ))}
    <path class="door" d={`${arch(DOOR)}z`} />
    <path class="stone" d={`M${CENTRE - FAR} ${GROUND}H${CENTRE + FAR}`} />
    {ROWS.map((y) => (
      <path class="paving" d={`M${CENTRE - widthAt(y)} ${y}H${CENTRE + widthAt(y)}`} />
    ))}
    {JOINTS.map((joint) => (
      <path class="paving" d={`M${CENTRE + joint * (FAR / 5)} ${GROUND}L${CENTRE + joint * (NEAR / 5)} 400`} />
    ))}
  </svg>
)
