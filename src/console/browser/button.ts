import { calm, tellTrouble } from './trouble.ts'
import { said } from './words.ts'

/** Runs what a button asks for, once at a time; what fails is told in `alert`. */
export function bindButton(button: HTMLButtonElement, alert: HTMLElement, act: () => Promise<void>): void {
  button.onclick = async () => {
    calm(alert)
    button.disabled = true
    button.setAttribute('aria-busy', 'true')
    try {
      await act()
    } catch (error) {
      tellTrouble(alert, error)
    }
    button.removeAttribute('aria-busy')
    button.disabled = false
  }
}

/** How long a button stays armed. */
const ARMED_MS = 4000

/** Like {@link bindButton}, for what cannot be undone: the first press asks, the second one acts. */
export function bindDangerButton(button: HTMLButtonElement, alert: HTMLElement, act: () => Promise<void>): void {
  const label = button.textContent ?? ''
  let disarm: (() => void) | undefined
  bindButton(button, alert, async () => {
    if (disarm) {
      disarm()
      return act()
    }
    button.textContent = `${said().really} ${label.toLowerCase()}${said().question}`
    const timer = setTimeout(() => disarm?.(), ARMED_MS)
    disarm = () => {
      clearTimeout(timer)
      button.textContent = label
      disarm = undefined
    }
  })
}
