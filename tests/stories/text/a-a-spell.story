Before the canary has users, the baseline alone can show how much the numbers scatter by themselves

ana starts emr-next at 20 %, after 10 min of the baseline alone
wait until emr-next is serving
# Both run the old version, so whatever the canary would do to users is not met by them yet.
30 s pass
then users reach production 80 %, baseline 20 %
then the verdict is not enough evidence yet
the canary begins to fail three requests where the baseline fails one
9 min pass
then users reach production 80 %, baseline 20 %
then the verdict is not enough evidence yet
the canary fails as few requests as the baseline
1 min pass
then users reach production 60 %, baseline 20 %, canary 20 %
then main rules made so far: 1
7 min pass
then the verdict is no worse
ana destroys emr-next
wait until emr-next is destroyed

----------------------------------------
     0.0 s  Ana started "emr-next": canary and baseline are to get 20 % each.
     0.0 s  The files are being uploaded.
     0.0 s  Arya created the temporary bucket.
     0.0 s  Arya created the app security group.
     0.0 s  Arya created the monitor security group.
     0.0 s  Arya created the baseline target group.
     0.0 s  Arya created the canary target group.
     2.0 s  Arya began to upload file aaaaaaaaaaaa.
     2.0 s  Arya began to upload file bbbbbbbbbbbb.
     2.0 s  Arya began to upload file cccccccccccc.
     2.0 s  Arya launched the baseline instance.
     2.0 s  Arya launched the canary instance.
     2.0 s  Arya launched the monitor instance.
    24.0 s  The baseline instance is booting (20.0 s after its start).
    24.0 s  The canary instance is booting (20.0 s after its start).
    24.0 s  The monitor instance is booting (20.0 s after its start).
    32.0 s  The files are up; the instances are being made ready.
    36.0 s  The baseline instance has its container runtime ready (32.0 s after its start).
    36.0 s  The canary instance has its container runtime ready (32.0 s after its start).
    36.0 s  The monitor instance has its container runtime ready (32.0 s after its start).
    48.0 s  The baseline instance has fetched its files (44.0 s after its start).
    48.0 s  The canary instance has fetched its files (44.0 s after its start).
    48.0 s  The monitor instance has fetched its files (44.0 s after its start).
    60.0 s  The baseline instance has loaded its images (56.0 s after its start).
    60.0 s  The canary instance has loaded its images (56.0 s after its start).
    60.0 s  The monitor instance has loaded its images (56.0 s after its start).
    72.0 s  The baseline instance is up (68.0 s after its start).
    72.0 s  The canary instance is up (68.0 s after its start).
    72.0 s  The monitor instance is up (68.0 s after its start).
    72.0 s  The apps run; no user reaches them yet.
    84.0 s  The baseline instance is warmed up and ready (80.0 s after its start).
    84.0 s  The canary instance is warmed up and ready (80.0 s after its start).
    84.0 s  The monitor instance is warmed up and ready (80.0 s after its start).
    84.0 s  Arya registered the baseline instance in the baseline target group.
    84.0 s  Arya registered the canary instance in the canary target group.
    86.0 s  Arya created the probe rule at priority 49999.
    94.0 s  Arya began: the canary gets 20 % of matching traffic, the baseline 20 %.
    94.0 s  Arya created the main rule at priority 50000.
    96.0 s  Our main rule stands on the listener: canary and baseline get 20 % each.
    96.0 s  Judging pauses. A/A spell: until about 17:58:16 UTC the baseline alone has users beside production, the canary none yet. Both run the old version, so what differs between them teaches how much the metrics scatter by themselves. What is measured meanwhile is kept and is no evidence for a pass.
    96.0 s  Users reach baseline and canary now.
   126.0 s  > the canary begins to fail three requests where the baseline fails one
   666.0 s  > the canary fails as few requests as the baseline
   696.0 s  Arya ended the A/A spell, in which the baseline alone had users beside production: now the canary gets 20 %, as the baseline does.
   696.0 s  Arya changed the weights of the main rule.
   698.0 s  Our main rule stands on the listener: canary and baseline get 20 % each.
   698.0 s  Judging goes on after a pause of 10 min.
  1008.0 s  Verdict: No worse: the canary fails 1 % of requests (6,100 of 610,000), the baseline 1 % (6,100 of 610,000); sure of at most 1.07x, the margin is 1.5x.
  1146.0 s  Ana asked for everything of ours to be removed.
  1146.0 s  Everything of ours is being removed.
  1146.0 s  Arya deleted the main rule.
  1146.0 s  Arya deleted the probe rule.
  1208.0 s  Arya took the baseline instance out of the baseline target group.
  1208.0 s  Arya took the canary instance out of the canary target group.
  1208.0 s  Arya terminated the monitor instance.
  1210.0 s  No new requests reach our instances; those they have are being finished.
  1212.0 s  Arya deleted the baseline target group.
  1212.0 s  Arya deleted the canary target group.
  1212.0 s  Arya terminated the baseline instance.
  1212.0 s  Arya terminated the canary instance.
  1258.0 s  Arya deleted the app security group.
  1258.0 s  Arya deleted the monitor security group.
  1258.0 s  Arya emptied and deleted the temporary bucket.
  1290.0 s  Production is exactly as before: 0 differences.
----------------------------------------
emr-next is destroyed. Planned again: no steps.
Its restore proof: 0 differences.
Its users reach production 100 %.
The listener, its rules, its groups and their targets: exactly as before.
