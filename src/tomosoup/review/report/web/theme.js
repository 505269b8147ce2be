// Light or dark, before anything is drawn: as the system has it, or as it was chosen on an earlier page.

const THEME = "tomosoup-theme";

function stored() {  // browsers may forbid pages to remember anything
  try { return localStorage.getItem(THEME); } catch { return null; }
}
if (["light", "dark"].includes(stored())) document.documentElement.style.colorScheme = stored();
