# Texte der Anwendung. Namen von Problemen sind `problem-` und der Code der API.

## Überall

loading = Lädt …
navigation = Hauptnavigation
skip-to-content = Zum Inhalt springen
language = Sprache
version = Version { $version }
api-reference = API-Referenz
sign-out = Abmelden
copy = Kopieren
name = Name
created = Erstellt
actions = Aktionen
never = nie
problem = Etwas ist schiefgegangen
request-id = Anfrage { $id }
not-found = Diese Seite gibt es nicht
not-found-hint = Prüfen Sie die Adresse, oder gehen Sie über die Navigation oben weiter.

## Anmelden

sign-in = Anmelden
email = E-Mail
password = Passwort
organization-id = Organisations-ID
organization-id-hint = Nur nötig, wenn Ihre E-Mail zu mehreren Organisationen gehört.
forgot-password = Passwort vergessen?
forgot-password-hint = Sie erhalten einen Brief mit einem Link, über den Sie ein neues Passwort setzen.
send-link = Link senden
link-is-sent = Wenn es diesen Benutzer gibt, ist ein Brief mit einem Link unterwegs.
back-to-sign-in = Zurück zur Anmeldung
invitation = Willkommen
invitation-hint = Wählen Sie ein Passwort. Mit Ihrer E-Mail melden Sie sich künftig damit an.
new-password = Ein neues Passwort
new-password-hint = Wählen Sie ein anderes Passwort. Überall sonst werden Sie abgemeldet.
password-hint = Mindestens 12 Zeichen. Lang und leicht zu merken ist gut.
set-password = Passwort setzen
link-without-token = Dieser Link ist unvollständig. Öffnen Sie ihn so, wie er im Brief steht.
sign-in-wrong = E-Mail oder Passwort ist falsch. Gehört Ihre E-Mail zu mehreren Organisationen, geben Sie auch die Organisations-ID an.

## Karte

map = Karte
assets = Maschinen
find-asset = Maschine nach Namen suchen
by-state = Nach Zustand
state-moving = Fährt
state-standing = Steht
state-silent = Still
state-unknown = Ohne Position
no-assets = Es gibt noch keine Maschinen. Legen Sie eine an und setzen Sie einen Tracker darauf: Ihre Position erscheint hier von selbst.
none-found = Keine Maschine passt. Nehmen Sie einen Filter weg.
no-webgl = Dieser Browser kann die Karte nicht zeichnen (WebGL fehlt). Die Liste hat alles, was die Karte zeigt.
just-now = gerade eben
seconds-ago = vor { $count } s
minutes-ago = vor { $count } min
hours-ago = vor { $count } h
days-ago = { $count ->
    [one] vor { $count } Tag
   *[other] vor { $count } Tagen
}
live-lost = Die Verbindung ist unterbrochen: Was Sie sehen, ist nicht live. Sie wird von selbst neu versucht.
live-lost-restarting = Der Server startet neu: Was Sie sehen, ist nicht live. Es geht von selbst weiter.
live-lost-too-slow = Ihre Verbindung war zu langsam für alles, was geschieht. Es geht von selbst weiter.
live-lost-too-many-connections = Ihre Organisation hat so viele Live-Verbindungen, wie ihr Plan erlaubt: Schließen Sie eine andere Seite.
live-ended = Die Live-Verbindung ist beendet. Laden Sie die Seite neu.
live-ended-forbidden = Ihre Rechte haben sich geändert. Laden Sie die Seite neu, um zu sehen, was Sie jetzt sehen dürfen.
live-ended-plan-required = Ihr Plan hat keine Live-Positionen.
connect-now = Jetzt versuchen

## Verstöße

breaches = Verstöße
no-breaches = An Ihren Zonen ist noch nichts geschehen. Was geschieht, erscheint hier von selbst.
older = Ältere
on-the-map = Auf der Karte
accuracy = ± { $metres } m
breach-enter = betrat
breach-exit = verließ
breach-dwell = ist schon lange in
breach-overspeed = fährt zu schnell in
mark-late = kam spät
mark-segment = zwischen Positionen
mark-timer = durch Zeitablauf
mark-initial = war schon dort
mark-schedule = die Zeiten der Zone begannen

## Benutzer

users = Benutzer
users-hint = Wen Sie einladen, der erhält einen Brief mit einem Link und wählt darüber ein Passwort.
role = Rolle
role-of = Rolle von { $name }
role-viewer = Betrachter
role-technician = Techniker
role-dispatcher = Disponent
role-admin = Administrator
state = Zustand
user-active = Aktiv
user-invited = Eingeladen
user-service = Für Programme
user-deactivated = Darf sich nicht anmelden
invite = Einladen
invite-again = Brief noch einmal senden
invitation-is-sent = Der Brief ist unterwegs.
activate = Wieder zulassen
deactivate = Abschalten

## Webhooks

webhooks = Webhooks
webhooks-hint = Jedes Ereignis wird signiert an Ihre Adressen gesendet, bis es angenommen ist. Eine neue erhält alle Arten.
address = Adresse
event-type = Ereignis
event-types = Ereignisse
make-endpoint = Adresse hinzufügen
secret-shown-once = Das ist das Geheimnis, mit dem Ihr Programm Signaturen prüft. Kopieren Sie es jetzt: Es wird nur dieses eine Mal gezeigt.
no-endpoints = Noch erhält keines Ihrer Programme Ereignisse. Fügen Sie die Adresse von einem hinzu.
endpoint-active = Aktiv
endpoint-failing = Aktiv, aber zurzeit wird nichts angenommen
endpoint-disabled-user = Abgeschaltet
endpoint-disabled-failures = Abgeschaltet: Tagelang wurde nichts angenommen
endpoint-disabled-gone = Abgeschaltet: Die Adresse antwortete 410 Gone
endpoint-disabled-backlog = Abgeschaltet: Es wartete zu viel darauf
send-test = Testereignis senden
test-event = Test
deliveries = Zustellungen
no-deliveries = An diese Adresse wurde noch nichts gesendet. Senden Sie ein Testereignis.
delivery-pending = Wartet
delivery-delivered = Angenommen
delivery-failed = Aufgegeben
attempts = Versuche
attempted = Wann
answer = Antwort
answer-text = Was geantwortet wurde
duration = Dauer
no-attempts = Es wurde noch nichts versucht.
send-again = Noch einmal senden

## API-Schlüssel

api-keys = API-Schlüssel
api-keys-hint = Mit einem Schlüssel handelt ein Programm in Ihrem Namen. Geben Sie jedem Programm einen eigenen, und widerrufen Sie die, die niemand braucht.
make-key = Schlüssel erstellen
key-shown-once = Das ist der Schlüssel. Kopieren Sie ihn jetzt: Er wird nur dieses eine Mal gezeigt.
no-keys = Es gibt noch keine Schlüssel. Geben Sie einem den Namen dessen, wofür er ist, und erstellen Sie ihn.
key-end = Endet mit
last-used = Zuletzt benutzt
revoke = Widerrufen

## Probleme

problem-unreachable = Der Server ist nicht erreichbar. Prüfen Sie Ihr Netz, und versuchen Sie es noch einmal.
problem-unavailable = Der Server kann gerade nicht antworten. Versuchen Sie es in einer Minute noch einmal.
problem-unexpected = Der Server hat eine Antwort gegeben, die diese Seite nicht kennt. Versuchen Sie es noch einmal.
problem-internal-error = Der Server hat versagt. Das ist unser Fehler: Nennen Sie dem Betreiber die Nummer der Anfrage.
problem-unauthorized = Sie sind nicht mehr angemeldet. Melden Sie sich wieder an.
problem-forbidden = Ihre Rolle erlaubt das nicht.
problem-not-found = Das gibt es nicht, oder es gehört nicht Ihnen.
problem-plan-required = Ihr Plan hat das nicht.
problem-quota-exceeded = Ihr Plan hat keinen Platz für mehr.
problem-rate-limited = Zu viele Anfragen in dieser Minute. Warten Sie etwas, und versuchen Sie es noch einmal.
problem-too-many-requests = Zu viel auf einmal. Versuchen Sie es gleich noch einmal.
problem-too-many-sign-ins = Zu viele Versuche sind gescheitert. Warten Sie einige Minuten, oder fordern Sie ein neues Passwort an.
problem-password-link-needed = Zu viele Versuche sind gescheitert. Fordern Sie einen Link per Brief an, und setzen Sie darüber ein Passwort.
problem-invalid-body = Eine Angabe stimmt nicht:
problem-link-not-good = Dieser Link wurde schon benutzt oder ist abgelaufen. Fordern Sie einen neuen an.
problem-changed-meanwhile = Jemand anders hat das inzwischen geändert. Laden Sie die Seite neu.
