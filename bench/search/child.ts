/** What a turn of a measured process took, and its peak memory so far. */
export interface Turn {
  seconds: number;
  cpuSeconds: number;
  rssMb: number;
}

/** Starts a clock; calling what it returns prints a line of JSON with the figures and what the turn took. */
export function startTurn(): (figures?: object) => void {
  const wall = performance.now();
  const cpu = process.cpuUsage();
  return (figures = {}) => {
    const { user, system } = process.cpuUsage(cpu);
    const turn: Turn = {
      seconds: (performance.now() - wall) / 1000,
      cpuSeconds: (user + system) / 1e6,
      rssMb: process.resourceUsage().maxRSS / 1024,
    };
    console.log(JSON.stringify({ ...figures, ...turn }));
  };
}
