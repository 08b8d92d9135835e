import { encode } from 'uqr'

const SVG = 'http://www.w3.org/2000/svg'

/** Draws a text as a QR code, black on white whatever the page's colours: scanners want it so. */
export function drawQr(svg: SVGElement, text: string): void {
  const { data, size } = encode(text, { ecc: 'M', border: 4 })
  const dots = data.flatMap((row, y) => row.flatMap((isDark, x) => (isDark ? [`M${x} ${y}h1v1h-1z`] : [])))
  const path = document.createElementNS(SVG, 'path')
  path.setAttribute('d', dots.join(''))
  svg.setAttribute('viewBox', `0 0 ${size} ${size}`)
  svg.replaceChildren(path)
}
