# Texte dessen, was der Server schreibt: PDFs, E-Mails und die Seiten von Kunden. Die der
# Webanwendung stehen in dashboard/src/texts.

## Daten und Zahlen

month = { $month ->
    [1] Januar
    [2] Februar
    [3] März
    [4] April
    [5] Mai
    [6] Juni
    [7] Juli
    [8] August
    [9] September
    [10] Oktober
    [11] November
   *[12] Dezember
}
# Neben einem Wochentag, wo wenig Platz ist.
short-month = { $month ->
    [1] Jan.
    [2] Feb.
    [3] März
    [4] Apr.
    [5] Mai
    [6] Juni
    [7] Juli
    [8] Aug.
    [9] Sept.
    [10] Okt.
    [11] Nov.
   *[12] Dez.
}
weekday = { $weekday ->
    [1] Mo
    [2] Di
    [3] Mi
    [4] Do
    [5] Fr
    [6] Sa
   *[7] So
}
full-day = { $day }. { month } { $year }
day-of-week = { weekday }, { $day }. { short-month }
full-time = { $day }, { $time }{ "\u00A0" }Uhr
# Eine Uhrzeit neben ihrem Tag, etwa „Mo, 2. März, 07:30“.
moment = { $day }, { $time }
decimal-mark = { "," }
thousands-mark = { "." }
percent = { $rate }{ "\u00A0" }%

## Alle PDFs

page-of-pages = Seite { $page } von { $pages }
# Wer etwas getan hat, und wann.
by-at = von { $name }, { $at }
date = Datum
time-zone = Zeitzone

## Angebote

quote = Angebot
quote-label = { $revision ->
    [1] Q-{ $number }
   *[other] Q-{ $number } Fassung { $revision }
}
quote-draft = Entwurf
quote-for = Für
quote-date = Datum
quote-valid-until = Gültig bis
quote-currency = Währung
quote-description = Beschreibung
quote-quantity = Menge
quote-unit-price = Einzelpreis
quote-discount = Rabatt
quote-tax = MwSt.
quote-net = Netto
quote-subtotal = Zwischensumme
quote-tax-of = MwSt. { $rate } auf { $amount }
quote-total = Gesamtbetrag { $currency }
quote-notes = Bemerkungen
quote-terms = Bedingungen

acceptance = Annahme
acceptance-sentence = Angenommen von { $name } am { $at }.
acceptance-at = Angenommen
acceptance-by = Angenommen von
acceptance-on = Am
acceptance-how = Wie
accepted-typed = durch den Namen als elektronische Unterschrift
accepted-drawn = durch eine gezeichnete Unterschrift
accepted-by-hand = auf anderem Weg, wie ein Benutzer der Organisation vermerkt hat
acceptance-sha256 = SHA-256 des Angebots
# Dem stimmt ein Kunde zu. Der Satz wird mit jeder Annahme aufbewahrt, unter der Nummer
# CONSENT_VERSION in operations/quotes/evidence.py: Sie ist zu erhöhen, wenn er sich ändert.
consent = Ich nehme dieses Angebot an und bestelle die darin beschriebenen Arbeiten zum genannten Preis. Ich bin berechtigt, dies für den Kunden zu tun. Mein Name oben oder die Unterschrift, die ich oben gezeichnet habe, ist meine elektronische Unterschrift. Sie ist so verbindlich wie eine auf Papier.

## Die Seite des Kunden eines Angebots

page-parties = { $organization } für { $client }
page-quote-pdf = Das Angebot als PDF
page-accepted-pdf = Das Angebot mit der Annahme als PDF
page-accept = Annehmen
page-signing-name = Ihr Name; er gilt als Unterschrift, wenn Sie keine zeichnen
page-draw = Zeichnen Sie Ihre Unterschrift, wenn Sie möchten:
page-clear = Löschen
page-accept-button = Angebot annehmen
page-decline = Ablehnen
page-name = Ihr Name
page-reason = Warum?
page-decline-button = Angebot ablehnen
page-accepted-total = Angebot { $label }, Gesamtbetrag { $total }.
page-copy = Eine Kopie geht an die Adresse, an die das Angebot gesendet wurde.
page-thanks = Vielen Dank
page-declined = Sie haben das Angebot abgelehnt.
page-fault-name = Bitte geben Sie Ihren Namen an.
page-fault-consent = Bitte lesen Sie den Satz neben dem Kästchen, und kreuzen Sie es an.
page-fault-signature = Die gezeichnete Unterschrift kann nicht verwendet werden: Bitte zeichnen Sie sie noch einmal.
page-closed-accepted = Dieses Angebot wurde bereits angenommen.
page-closed-declined = Dieses Angebot wurde bereits abgelehnt.
page-closed-expired = Dieses Angebot ist abgelaufen: Bitten Sie um ein neues.
page-closed-superseded = Es gibt eine spätere Fassung dieses Angebots: Verwenden Sie den Link in der E-Mail mit dieser Fassung.
page-not-confirmed = Die Beträge dieses Angebots werden geprüft: Bitte fragen Sie den Absender.
page-not-ready = Dieses Angebot ist noch nicht bereit: Versuchen Sie es in einigen Minuten noch einmal.
page-no-such-link = Unter dieser Adresse gibt es kein Angebot. Ist der Link vollständig?
page-ahead = Diese Seite wird gezeigt, wenn Sie sie öffnen.
page-rate-limited = Diese Seite wurde zu oft geöffnet. Bitte warten Sie eine Minute, und öffnen Sie sie dann noch einmal.
page-unknown-parameter = Der Adresse dieser Seite wurde etwas hinzugefügt. Bitte öffnen Sie den Link so, wie er in der E-Mail steht.
page-too-many-requests = Gerade treffen zu viele Antworten ein. Bitte öffnen Sie den Link in der E-Mail in einer Minute noch einmal.
page-unavailable = Diese Seite kann gerade nicht gezeigt werden. Bitte öffnen Sie sie in einer Minute noch einmal.
page-not-read = Ihre Antwort konnte nicht gelesen werden. Bitte öffnen Sie den Link in der E-Mail, und antworten Sie noch einmal.

## Die Seite mit den Fotos einer Prüfung

photos-title = Fotos einer Prüfung
photos-need-script = Diese Seite braucht JavaScript.
photos-asked = Melden Sie sich an, um die Fotos zu sehen.
photos-email = E-Mail
photos-password = Passwort
# Vor einem Beispiel: <code>org_...</code>.
photos-organization = Organisation, falls die Adresse zu mehreren gehört: ihre ID,
photos-sign-in = Anmelden
photos-count = Fotos:
photos-each = Ein Foto der Prüfung
# Vor dem, was die API sagt, auf Englisch.
photos-failed = Das war nicht möglich:

## E-Mails

hello = Guten Tag,
hello-name = Guten Tag { $name },

invitation-subject = Einladung zu { $organization }
invitation-beginning = Sie sind zu { $organization } auf OPS Companion eingeladen. Wählen Sie hier ein Passwort:
invitation-end = Der Link gilt sieben Tage lang und nur ein Mal.

password-reset-subject = Ein neues Passwort für { $organization }
password-reset-beginning = Jemand, vermutlich Sie selbst, möchte ein neues Passwort für { $organization } auf OPS Companion. Wählen Sie es hier:
password-reset-end = Der Link gilt eine Stunde lang und nur ein Mal. Wenn Sie es nicht waren, brauchen Sie nichts zu tun: Ihr Passwort bleibt, wie es ist.

quote-letter-subject = Angebot { $label } von { $organization }
quote-letter-beginning = { $organization } sendet Ihnen das Angebot { $label }: { $title }.
quote-letter-link = Hier können Sie es ansehen, annehmen oder ablehnen:
quote-letter-end = Das Angebot gilt bis zum { $day }. Wer diesen Link hat, kann für Sie antworten: Geben Sie ihn nicht weiter.

acceptance-letter-subject = Angenommen: Angebot { $label } von { $organization }
acceptance-letter-beginning = { $name } hat das Angebot { $label } von { $organization } angenommen: { $title }.
acceptance-letter-total = Der Gesamtbetrag ist { $total }.
acceptance-letter-end = Das Angebot mit der Annahme ist beigefügt: Bewahren Sie es auf. Einige Zeit lang zeigt es auch der Link in der E-Mail mit dem Angebot.

acceptance-notice-subject = Das Angebot { $label } wurde von { $name } angenommen
acceptance-notice-beginning = { $name } hat das Angebot { $label } für { $client } angenommen: { $title }.
acceptance-notice-end = Das Angebot mit der Annahme ist beigefügt. Eine Antwort auf diese E-Mail geht an den Kunden.

endpoint-disabled-subject = Eine Webhook-Adresse von { $organization } wurde abgeschaltet
endpoint-disabled-beginning = Die Webhook-Adresse { $endpoint } von { $organization } wurde abgeschaltet: { $reason } An sie wird nichts mehr gesendet.
# Eine Webhook-Adresse mit dem, was ihre Organisation dazu geschrieben hat.
endpoint-described = { $endpoint } („{ $description }“)
endpoint-disabled-failures = Sie hat lange nichts angenommen.
endpoint-disabled-gone = Sie hat mit 410 geantwortet: Es gibt sie nicht mehr.
endpoint-disabled-backlog = Zu viele Sendungen warteten auf sie.
endpoint-disabled-user = Ein Benutzer hat sie abgeschaltet.
endpoint-disabled-mend = Bringen Sie den Empfänger in Ordnung, und schalten Sie die Adresse dann wieder ein:
endpoint-disabled-recover = Was nicht zugestellt wurde, lässt sich danach noch einmal senden:

report-letter-subject = { $name }: { $period }
report-letter-beginning = Der Bericht „{ $name }“ von { $organization } ({ $report }) ist fertig: { $period }.
report-letter-end = Sie sehen ihn, wenn Sie angemeldet sind, mit den Rechten, die Sie dann haben. Administratoren und Disponenten ändern diese E-Mails auf der Seite Zeitpläne.

## Stundenzettel

timesheet = Stundenzettel
timesheet-generated = Erstellt am { $at }
timesheet-state-open = Offen: nicht endgültig
timesheet-state-submitted = Eingereicht: nicht genehmigt
timesheet-state-approved = Genehmigt
timesheet-state-rejected = Abgelehnt
timesheet-state-locked = Genehmigt und gesperrt
timesheet-employee = Mitarbeiter
timesheet-number = Nummer
timesheet-period = Zeitraum
timesheet-days = { $first } bis { $last } { $year }
timesheet-day = Tag
timesheet-in = Kommen
timesheet-out = Gehen
timesheet-break = Pause
timesheet-hours = Stunden
timesheet-site = Baustelle und Bemerkungen
timesheet-regular = Normal
timesheet-overtime = Überstunden
timesheet-double = Doppelt
timesheet-sum = Summe
timesheet-decimal-hours = In Dezimalstunden
timesheet-doubtful = { $hours } dieser Stunden sind zweifelhaft: nicht bestätigt oder bestritten und noch nicht geprüft.
timesheet-adjusted = Korrekturen machen { $hours } der Summe aus.
timesheet-times = Zeiten sind Ortszeiten der Zeitzone. +1: am Tag danach; −1: am Tag davor.
timesheet-notes = Anmerkungen zu Stempelungen
timesheet-signature-employee = Mitarbeiter: Ich bestätige diese Stunden.
timesheet-signature-office = Zur Lohnabrechnung genehmigt.
timesheet-shift-open = offen
timesheet-rounding = Rundung
timesheet-adjustment = Korrektur: { $reason }
timesheet-own-hours = { $name } (eigene Stunden)
timesheet-loose = { $kind } ohne Schicht
timesheet-reviewed = { $doubts }; geprüft
timesheet-by-server = laut Server { $hours }
timesheet-note = { $kind } { $moment }: { $remark }
timesheet-server-saw = vom Server gesehen { $moment }
timesheet-not-reviewed = Nicht geprüft.
timesheet-count = { $count } { $what }
timesheet-entry = von Hand erfasst
timesheet-entry-by = von Hand erfasst von { $name }, { $at }: „{ $reason }“
review-accepted = Anerkannt von { $name }, { $at }
review-rejected = Abgelehnt von { $name }, { $at }
review-without-note = { $review }.
review-with-note = { $review }: „{ $note }“

punch-in = Kommen
punch-out = Gehen
punch-break-start = Pausenbeginn
punch-break-end = Pausenende

verdict-verified = bestätigt
verdict-unverified = nicht bestätigt
verdict-failed = widerlegt

flag-failed = widerlegt
flag-unverified = nicht bestätigt
flag-disputed = Zeit bestritten
flag-already-in = schon eingestempelt
flag-not-in = nicht eingestempelt
flag-already-on-break = schon in der Pause
flag-not-on-break = nicht in der Pause
flag-late-out = verspätetes Gehen
flag-not-employed = nicht angestellt
flag-missing-out = Gehen fehlt
flag-missing-break-end = Pausenende fehlt
flag-open = offen
flag-own-adjustment = eigene Korrektur

rule-outside = außerhalb
rule-mock = vorgetäuschte Position
rule-teleport = Sprung
rule-wrong-device = falsches Gerät
rule-no-fix = keine Position
rule-no-zone = keine Zone
rule-no-accuracy = keine Genauigkeit
rule-uncertain = unsicher
rule-stale = veraltet
rule-clock = Uhr weicht ab
rule-offline = offline
rule-inside = innerhalb

figure-accuracy = Genauigkeit
figure-claimed-ahead = Angabe voraus
figure-claimed-before-fix = Angabe vor der Position
figure-delay = Verzögerung
figure-distance = Entfernung
figure-elapsed = verstrichen
figure-fix-age = Alter der Position
figure-fix-ahead = Position voraus
figure-fix-before-claim = Position vor der Angabe
figure-limit = Grenze
figure-speed = Geschwindigkeit
figure-tolerance = Toleranz

## Arbeitsaufträge

order-label = Arbeitsauftrag { $number }
order-work = Arbeit
order-checklist = Checkliste
order-parts = Teile
order-part-number = Nummer
order-part = Teil
order-part-planned = Geplant
order-part-used = Verbraucht
order-part-unit = Einheit
order-photos = Fotos
order-files = Weitere Dateien
order-sign-off = Abnahme
order-signer = Name
order-signature = Unterschrift
order-client = Kunde
order-site = Baustelle
order-client-address = Adresse des Kunden
order-site-address = Adresse der Baustelle
order-assigned-to = Zugeteilt an
order-assets = Maschinen
order-priority = Priorität
order-planned = Geplant
order-planned-span = { $start } bis { $end }
order-due = Fällig
order-started = Begonnen
order-ended = Beendet
order-worked = Gearbeitet
order-hours = { $hours } h
order-open-tasks = { $count ->
    [one] Unterschrieben, obwohl { $count } von { $all } Punkten der Checkliste nicht erledigt ist.
   *[other] Unterschrieben, obwohl { $count } von { $all } Punkten der Checkliste nicht erledigt sind.
}

order-state-draft = Entwurf
order-state-created = Erstellt
order-state-assigned = Zugeteilt
order-state-started = Begonnen
order-state-on-hold = Unterbrochen
order-state-completed = Erledigt
order-state-closed = Abgeschlossen
order-state-cancelled = Storniert
order-state-cannot-complete = Nicht ausführbar

priority-low = niedrig
priority-normal = normal
priority-high = hoch
priority-urgent = dringend

## Prüfungen

inspection = Prüfung
inspection-report = Prüfbericht
inspection-state-draft = Entwurf
inspection-state-superseded = Ersetzt
inspection-passed = Bestanden
inspection-failed = { $count ->
    [one] Nicht bestanden: { $count } Mangel
   *[other] Nicht bestanden: { $count } Mängel
}
inspection-not-submitted = nicht eingereicht
inspection-corrected-by = { $result }; korrigiert durch { $form }
inspection-defects = Mängel
inspection-asset = Maschine
inspection-site = Baustelle
inspection-address = Adresse
inspection-by = Geprüft von
inspection-submitted-by = Eingereicht von
inspection-submitted = Eingereicht am
inspection-template-version = Version der Vorlage
inspection-corrects = Korrigiert
inspection-answer-pass = In Ordnung
inspection-answer-fail = Nicht in Ordnung
inspection-photos-missing = Nicht darstellbar: { $photos }
inspection-signature-missing = Unterschrieben; die Unterschrift lässt sich nicht darstellen.
inspection-more-photos = { $count ->
    [one] { $count } weiteres Foto ist beim Formular hinterlegt.
   *[other] { $count } weitere Fotos sind beim Formular hinterlegt.
}
inspection-photos-at = Alle Fotos in voller Größe, für alle, die sich anmelden:

## Berichte

report-time = Zeit
report-span = { $start } bis { $end }
report-sum = Summe
report-empty = Es gibt nichts zu berichten.
report-title-day = Tagesbericht
report-title-trips = Fahrten
report-title-stops = Halte
report-title-visits = Besuche
report-title-distance = Strecken
report-title-utilization = Auslastung
report-title-presence = Stunden vor Ort
report-column-name = Maschine oder Person
report-column-asset-name = Maschine
report-column-zone-name = Zone
report-column-client-name = Kunde
report-column-client-names = Kunden
report-column-tag = Schlagwort
report-column-day = Tag
report-column-week = Woche vom
report-column-first-fix-at = Erste Position
report-column-last-fix-at = Letzte Position
report-column-departed-at = Abfahrt
report-column-arrived-at = Ankunft
report-column-started-at = Beginn
report-column-ended-at = Ende
report-column-entered-at = Eintritt
report-column-left-at = Austritt
report-column-duration-s = Dauer
report-column-within-s = Dauer
report-column-presence-s = Stunden
report-column-time-s = Gesamt
report-column-driving-s = Fahrt
report-column-stopped-s = Stand
report-column-idle-s = Leerlauf
report-column-parked-s = Geparkt
report-column-unknown-s = Unbekannt
report-column-driving-share = Fahrt
report-column-idle-share = Leerlauf
report-column-parked-share = Geparkt
report-column-distance-m = km
report-column-top-speed-mps = Max. km/h
report-column-trips = Fahrten
report-column-stops = Halte
report-column-visits = Besuche
report-column-assets = Maschinen
report-column-start-zones = Von
report-column-end-zones = Nach
report-column-zones = Zonen
report-column-is-carried = Transport
